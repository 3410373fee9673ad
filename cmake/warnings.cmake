# The flags of every target of ours.
add_library(hornbeam_flags INTERFACE)
target_compile_options(hornbeam_flags INTERFACE -Wall -Wextra -Wpedantic)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # For all folders of ours, not for users of the library. Only `local`: GCC 12
  # also takes what an `enum class` lists, and the parameters of a constructor, for
  # names that hide others. Clang means more by -Wconversion: it would have each
  # index of an int cast.
  add_compile_options(-Wshadow=local -Wconversion)
endif()
if(HORNBEAM_WERROR)
  target_compile_options(hornbeam_flags INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT HORNBEAM_SANITIZE STREQUAL "")
  # GCC 12 warns about its own library when it is instrumented, as of a string that
  # it takes for a short one and for a long one at once.
  target_compile_options(hornbeam_flags INTERFACE -Wno-maybe-uninitialized
    -Wno-array-bounds -Wno-restrict -Wno-stringop-overflow)
  if(HORNBEAM_SANITIZE STREQUAL "thread")
    # It does not understand fences: those before a system call that another
    # process's memory depends on. Nor that a vector which is empty is not copied.
    target_compile_options(hornbeam_flags INTERFACE -Wno-tsan -Wno-nonnull)
  endif()
endif()
# Nobody puts another function in the place of one of ours at load time: calls
# within a library are direct, and can be inlined.
target_compile_options(hornbeam_flags INTERFACE -fno-semantic-interposition)
target_include_directories(hornbeam_flags INTERFACE ${PROJECT_SOURCE_DIR})
if(NOT HORNBEAM_SANITIZE STREQUAL "")
  target_compile_options(hornbeam_flags INTERFACE
    -fsanitize=${HORNBEAM_SANITIZE} -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  target_link_options(hornbeam_flags INTERFACE -fsanitize=${HORNBEAM_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # clang 14 can't put its mark of a function's type before a coroutine.
    target_compile_options(hornbeam_flags INTERFACE -fno-sanitize=function)
  endif()
endif()
if(HORNBEAM_CHECK_LOCKS)
  target_compile_definitions(hornbeam_flags INTERFACE HORNBEAM_CHECK_LOCKS)
endif()
