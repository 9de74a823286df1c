# cudasim_stand_in(TARGET NAME VERSION): the target becomes libNAME.so.VERSION in ${CMAKE_BINARY_DIR}/cudasim and shows
# nothing but the functions that it exports by name.
function(cudasim_stand_in target name version)
  set_target_properties(${target} PROPERTIES OUTPUT_NAME ${name} SOVERSION ${version}
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/cudasim)
  target_link_options(${target} PRIVATE -Wl,--exclude-libs,ALL)
  gradc_warnings(${target})
endfunction()
