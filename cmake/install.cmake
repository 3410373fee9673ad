# What `cmake --install` puts where. There are two layouts: a prefix with the C++
# library, its headers, the binary and the Python packages, and the component
# `wheel`, which is nothing but the Python packages and all they need; it is left out
# unless it is asked for, and packaging/ makes a wheel of it.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/hornbeam)

# -- where libraries are found -------------------------------------------------

# Relative, so that an installation can be moved. By DT_RPATH, not DT_RUNPATH: it holds
# for the libraries that our libraries need, too, and goes before LD_LIBRARY_PATH, so
# a wheel uses what it carries.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_LIBDIR
  BASE_DIRECTORY ${HORNBEAM_INSTALL_PYTHONDIR}/hornbeam
  OUTPUT_VARIABLE lib_from_python)
cmake_path(RELATIVE_PATH CMAKE_INSTALL_LIBDIR
  BASE_DIRECTORY ${CMAKE_INSTALL_BINDIR} OUTPUT_VARIABLE lib_from_bin)
set_target_properties(hornbeam PROPERTIES INSTALL_RPATH "$ORIGIN")
set_target_properties(hornbeam_native PROPERTIES
  INSTALL_RPATH "$ORIGIN/_lib;$ORIGIN/${lib_from_python}")
set_target_properties(hornbeam_cli PROPERTIES
  INSTALL_RPATH "$ORIGIN/../_lib;$ORIGIN/${lib_from_bin}")
foreach(target hornbeam hornbeam_native hornbeam_cli)
  target_link_options(${target} PRIVATE LINKER:--disable-new-dtags)
endforeach()

# -- a prefix --------------------------------------------------------------------

target_include_directories(hornbeam
  INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/hornbeam>)
if(HORNBEAM_CHECK_LOCKS)
  # The headers of such a build are used as they were compiled.
  target_compile_definitions(hornbeam
    INTERFACE $<INSTALL_INTERFACE:HORNBEAM_CHECK_LOCKS>)
endif()
install(TARGETS hornbeam EXPORT hornbeam)
# The engines of tables are behind runtime/table, and show what is not installed.
install(DIRECTORY runtime actors
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/hornbeam
  FILES_MATCHING PATTERN *.hpp
  PATTERN table_lmdb EXCLUDE PATTERN table_memory EXCLUDE)
install(EXPORT hornbeam NAMESPACE hornbeam:: FILE hornbeamTargets.cmake
  DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/hornbeamConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES cmake/hornbeamConfig.cmake cmake/caf.cmake
  ${PROJECT_BINARY_DIR}/hornbeamConfigVersion.cmake DESTINATION ${package_dir})

install(TARGETS hornbeam_cli)
install(TARGETS hornbeam_native
  LIBRARY DESTINATION ${HORNBEAM_INSTALL_PYTHONDIR}/hornbeam)
set(python_files FILES_MATCHING PATTERN *.py PATTERN *.pyi PATTERN py.typed
  PATTERN __pycache__ EXCLUDE)
install(DIRECTORY pybridge/python/ DESTINATION ${HORNBEAM_INSTALL_PYTHONDIR}
  ${python_files})

# -- a wheel ---------------------------------------------------------------------

set(wheel COMPONENT wheel EXCLUDE_FROM_ALL)
install(TARGETS hornbeam RUNTIME_DEPENDENCY_SET hornbeam_needs
  LIBRARY DESTINATION hornbeam/_lib NAMELINK_SKIP ${wheel})
install(TARGETS hornbeam_cli RUNTIME_DEPENDENCY_SET hornbeam_needs
  RUNTIME DESTINATION hornbeam/_bin ${wheel})
install(TARGETS hornbeam_native RUNTIME_DEPENDENCY_SET hornbeam_needs
  LIBRARY DESTINATION hornbeam ${wheel})
install(DIRECTORY pybridge/python/ DESTINATION . ${wheel} ${python_files})
# All that they need, but for what Debian 12 has wherever it has python3: the
# libraries of libc6, libgcc-s1, libstdc++6 (for apt) and libssl3 (for Python's
# hashlib). OpenSSL is the system's because the system mends it.
install(RUNTIME_DEPENDENCY_SET hornbeam_needs
  PRE_EXCLUDE_REGEXES
    "^ld-linux" "^lib(c|m|pthread|dl|rt|gcc_s|stdc\\+\\+|ssl|crypto)\\.so"
  LIBRARY DESTINATION hornbeam/_lib ${wheel})
