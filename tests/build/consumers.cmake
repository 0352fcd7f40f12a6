# SPDX-License-Identifier: Apache-2.0
# A project that uses ours, in each way that the README names; the installed ones from a copy under the build folder.
foreach(way find_package compiled add_subdirectory fetch_content pkg_config)
  tempera_add_script("a consumer by ${way}" consumer.sh ${way} "${CMAKE_COMMAND}" "${PROJECT_BINARY_DIR}"
                     "${CMAKE_CURRENT_BINARY_DIR}/consumer" "${CMAKE_CXX_COMPILER}")
endforeach()
if(TEMPERA_MPI_RUNS)
  tempera_add_script("a consumer of the component mpi" consumer.sh mpi "${CMAKE_COMMAND}" "${PROJECT_BINARY_DIR}"
                     "${CMAKE_CURRENT_BINARY_DIR}/consumer" "${CMAKE_CXX_COMPILER}")
else()
  tempera_add_skipped("build: a consumer of the component mpi" "${TEMPERA_MPI_MISSING}")
endif()
if(TARGET tempera::image)
  foreach(way image add_subdirectory_image)
    tempera_add_script("a consumer by ${way}" consumer.sh ${way} "${CMAKE_COMMAND}" "${PROJECT_BINARY_DIR}"
                       "${CMAKE_CURRENT_BINARY_DIR}/consumer" "${CMAKE_CXX_COMPILER}")
  endforeach()
else()
  tempera_add_skipped("build: a consumer of the component image" "libjpeg or libpng is not installed")
endif()
if(TARGET tempera::cuda)
  tempera_add_script("a consumer of the component cuda" consumer.sh cuda "${CMAKE_COMMAND}" "${PROJECT_BINARY_DIR}"
                     "${CMAKE_CURRENT_BINARY_DIR}/consumer" "${CMAKE_CXX_COMPILER}")
else()
  tempera_add_skipped("build: a consumer of the component cuda" "no nvcc: sh cmake/run test --cuda installs it")
endif()
