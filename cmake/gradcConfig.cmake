# find_package(gradc): compiled models as targets.
#
#   gradc_add_model(lenet MODEL lenet.json [ENTRY infer|train] [BATCH 1,64] [MCPU x86-64-v3] [WEIGHTS lenet.safetensors])
#   target_link_libraries(program PRIVATE lenet)      # and #include "lenet.h"
#
# Compiles the model when its file changes. WEIGHTS are embedded.
#
# And gradc as a library, where what it is made of is found: LLVM 19, fmt, nlohmann_json, CLI11, zlib.
#
#   target_link_libraries(program PRIVATE gradc::gradc)      # and #include <gradc/gradc.h>
get_filename_component(GRADC_PREFIX "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
set(GRADC_EXECUTABLE "${GRADC_PREFIX}/bin/gradc" CACHE FILEPATH "The gradc command")

function(gradc_add_model name)
  cmake_parse_arguments(ARG "" "MODEL;ENTRY;BATCH;MCPU;WEIGHTS" "" ${ARGN})
  if(NOT ARG_MODEL)
    message(FATAL_ERROR "gradc_add_model(${name}): MODEL is missing")
  endif()
  if(NOT ARG_ENTRY)
    set(ARG_ENTRY infer)
  endif()
  get_filename_component(model "${ARG_MODEL}" ABSOLUTE)
  set(flags --entry ${ARG_ENTRY})
  set(inputs ${model})
  if(ARG_BATCH)
    list(APPEND flags --batch ${ARG_BATCH})
  endif()
  if(ARG_MCPU)
    list(APPEND flags --mcpu ${ARG_MCPU})
  endif()
  if(ARG_WEIGHTS)
    get_filename_component(weights "${ARG_WEIGHTS}" ABSOLUTE)
    list(APPEND flags --weights ${weights} --embed-weights)
    list(APPEND inputs ${weights})
  endif()
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/${name}.model)
  file(MAKE_DIRECTORY ${folder})
  add_custom_command(OUTPUT ${folder}/${name}.o ${folder}/${name}.h
    COMMAND ${GRADC_EXECUTABLE} compile ${model} ${flags} --emit obj -o ${folder}/${name}.o
    COMMAND ${GRADC_EXECUTABLE} compile ${model} ${flags} --emit header -o ${folder}/${name}.h
    DEPENDS ${inputs} COMMENT "Compiling the model ${name}" VERBATIM)
  add_custom_target(${name}_model DEPENDS ${folder}/${name}.o ${folder}/${name}.h)
  add_library(${name} INTERFACE)
  add_dependencies(${name} ${name}_model)
  target_include_directories(${name} INTERFACE ${folder})
  target_link_libraries(${name} INTERFACE ${folder}/${name}.o m)
endfunction()

if(EXISTS ${CMAKE_CURRENT_LIST_DIR}/gradcTargets.cmake AND CMAKE_CXX_COMPILER)
  find_package(LLVM 19.1 QUIET CONFIG)
  set(missing "")
  if(NOT LLVM_FOUND)
    list(APPEND missing LLVM)
  endif()
  foreach(package fmt nlohmann_json CLI11 ZLIB Threads)
    find_package(${package} QUIET)
    if(NOT ${package}_FOUND)
      list(APPEND missing ${package})
    endif()
  endforeach()
  if(missing)
    message(STATUS "gradc::gradc is not there: it needs ${missing}")
  else()
    include(${CMAKE_CURRENT_LIST_DIR}/gradcTargets.cmake)
  endif()
endif()
