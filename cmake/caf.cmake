# Debian's CAF 0.17 brings no CMake package: find it by library name.
find_path(CAF_INCLUDE_DIR caf/all.hpp REQUIRED)
add_library(hornbeam_caf INTERFACE)
target_include_directories(hornbeam_caf SYSTEM INTERFACE ${CAF_INCLUDE_DIR})
foreach(part core io openssl)
  find_library(CAF_${part}_LIBRARY caf_${part} REQUIRED)
  target_link_libraries(hornbeam_caf INTERFACE ${CAF_${part}_LIBRARY})
endforeach()
