# Debian's LMDB brings neither a CMake package nor, everywhere, pkg-config.
find_path(LMDB_INCLUDE_DIR lmdb.h REQUIRED)
find_library(LMDB_LIBRARY lmdb REQUIRED)
add_library(hornbeam_lmdb INTERFACE)
target_include_directories(hornbeam_lmdb SYSTEM INTERFACE ${LMDB_INCLUDE_DIR})
target_link_libraries(hornbeam_lmdb INTERFACE ${LMDB_LIBRARY})
