option(HORNBEAM_PRECOMPILE "Parse what most files include once" ON)

# hornbeam_precompile(TARGET HEADER): half of what a build costs is parsing.
function(hornbeam_precompile target header)
  if(HORNBEAM_PRECOMPILE)
    target_precompile_headers(${target} PRIVATE
      ${PROJECT_SOURCE_DIR}/cmake/${header}.hpp)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      # ccache needs it, to know what the precompiled header was made of.
      target_compile_options(${target} PRIVATE -fpch-preprocess)
    endif()
  endif()
endfunction()
