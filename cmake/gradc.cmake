# Functions that the CMakeLists.txt of every folder use.

# gradc_library(NAME SOURCES… LINK libs…): a static library with the project's warnings.
function(gradc_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  if(NOT ARG_SOURCES)
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/empty.cpp "")
    set(ARG_SOURCES ${CMAKE_CURRENT_BINARY_DIR}/empty.cpp)
  endif()
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:include>)
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
  gradc_warnings(${name})
endfunction()

function(gradc_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wno-missing-field-initializers)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    # GCC 12 sees overlapping copies inside std::string that cannot happen (GCC bug 105329).
    target_compile_options(${target} PRIVATE -Wno-restrict)
  endif()
  if(GRADC_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()
option(GRADC_WERROR "Treat warnings as errors" OFF)

# gradc_precompile(target headers…): what most files of a target include is read once for all of them, which takes a
# quarter off a clean build. A compiler cache, which does better, cannot look into such headers: where one is in use,
# each file reads its own.
if(CMAKE_CXX_COMPILER_LAUNCHER)
  option(GRADC_PRECOMPILE "Precompile headers that most files of a target include" OFF)
else()
  option(GRADC_PRECOMPILE "Precompile headers that most files of a target include" ON)
endif()
function(gradc_precompile target)
  if(GRADC_PRECOMPILE)
    target_precompile_headers(${target} PRIVATE ${ARGN})
    if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
      # GCC 12 forgets which precompiled headers are the system's, and its optimizer warns of std::string in them.
      target_compile_options(${target} PRIVATE -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread)
    endif()
  endif()
endfunction()

# gradc_table(OUT header FUNCTION prefix TYPE type FILES…): writes a header that lists, for each source file, the
# function prefix##stem(), so that adding a file is all it takes to add an op or a pass.
function(gradc_table out)
  cmake_parse_arguments(ARG "" "MACRO" "FILES" ${ARGN})
  set(text "// Generated from the list of source files.\n")
  foreach(file ${ARG_FILES})
    get_filename_component(stem ${file} NAME_WE)
    string(APPEND text "${ARG_MACRO}(${stem})\n")
  endforeach()
  file(GENERATE OUTPUT ${out} CONTENT "${text}")
endfunction()
