# Debian's CAF 0.17 brings no CMake package: find it by library name. This file is
# installed too, beside hornbeamConfig.cmake: our headers include CAF's.
if(TARGET hornbeam::caf)
  return()
endif()
find_path(CAF_INCLUDE_DIR caf/all.hpp REQUIRED)
add_library(hornbeam::caf INTERFACE IMPORTED)
target_include_directories(hornbeam::caf INTERFACE ${CAF_INCLUDE_DIR})
find_library(CAF_core_LIBRARY caf_core REQUIRED)
target_link_libraries(hornbeam::caf INTERFACE ${CAF_core_LIBRARY})
