# find_package(gradc): compiled models as targets.
#
#   gradc_add_model(lenet MODEL lenet.json [ENTRY infer|train] [BATCH 1,64] [MCPU x86-64-v3] [WEIGHTS lenet.safetensors])
#   target_link_libraries(program PRIVATE lenet)      # and #include "lenet.h"
#
# Compiles the model when its file changes. WEIGHTS are embedded.
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
