# What `find_package(hornbeam)` reads in an installation: the target
# hornbeam::hornbeam, and what its headers include.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(Boost 1.74)
include(${CMAKE_CURRENT_LIST_DIR}/caf.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/hornbeamTargets.cmake)
