# SPDX-License-Identifier: Apache-2.0
# cmake --install: headers, the package (components tempera, compiled, image, cuda and mpi) and a .pc file.
include(CMakePackageConfigHelpers)

set(package_folder "${CMAKE_INSTALL_DATADIR}/cmake/tempera")
install(DIRECTORY include/tempera DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT dev
        FILES_MATCHING PATTERN "*.hpp" PATTERN "*.cuh" PATTERN "*.cu" PATTERN "*.cpp")
install(TARGETS tempera EXPORT tempera)
install(EXPORT tempera FILE tempera-targets.cmake NAMESPACE tempera:: DESTINATION "${package_folder}" COMPONENT dev)

configure_package_config_file(cmake/tempera-config.cmake.in "${PROJECT_BINARY_DIR}/tempera-config.cmake"
                              INSTALL_DESTINATION "${package_folder}" PATH_VARS CMAKE_INSTALL_INCLUDEDIR)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/tempera-config-version.cmake"
                                 COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/tempera-config.cmake" "${PROJECT_BINARY_DIR}/tempera-config-version.cmake"
              cmake/check_eigen.cmake cmake/compiled.cmake cmake/image.cmake cmake/cuda.cmake cmake/mpi.cmake
        DESTINATION "${package_folder}" COMPONENT dev)

configure_file(cmake/tempera.pc.in "${PROJECT_BINARY_DIR}/tempera.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/tempera.pc" DESTINATION "${CMAKE_INSTALL_DATADIR}/pkgconfig" COMPONENT dev)
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT dev)
