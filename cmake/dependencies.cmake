# SPDX-License-Identifier: Apache-2.0
# Finding other libraries: what is installed comes first, fetching only where -DTEMPERA_FETCH=ON allows it.

# tempera_require(<package> TARGET <target> [FETCH <git repository> <tag>])
# Packages are searched without a version: Debian's Eigen 3.4 refuses ranges and Eigen 5 refuses "3.4".
macro(tempera_require package)
  cmake_parse_arguments(require "" "TARGET" "FETCH" ${ARGN})
  if(NOT TARGET ${require_TARGET})
    find_package(${package} QUIET)
  endif()
  if(NOT TARGET ${require_TARGET} AND TEMPERA_FETCH AND require_FETCH)
    list(GET require_FETCH 0 require_repository)
    list(GET require_FETCH 1 require_tag)
    message(STATUS "tempera: fetching ${package} ${require_tag}")
    include(FetchContent)
    set(BUILD_TESTING_before ${BUILD_TESTING})
    set(BUILD_TESTING OFF)
    FetchContent_Declare(${package} GIT_REPOSITORY ${require_repository} GIT_TAG ${require_tag} GIT_SHALLOW ON)
    FetchContent_MakeAvailable(${package})
    set(BUILD_TESTING ${BUILD_TESTING_before})
  endif()
  if(NOT TARGET ${require_TARGET})
    message(FATAL_ERROR
      "tempera needs ${package} (target ${require_TARGET}), which was not found.\n"
      "Install it ('sh cmake/run deps' prints and does that on Debian), point CMAKE_PREFIX_PATH to it, "
      "or allow fetching it with -DTEMPERA_FETCH=ON.")
  endif()
endmacro()

# tempera_seek(<package> TARGET <target>): the same for what is optional; <package>_SEEN tells.
macro(tempera_seek package)
  cmake_parse_arguments(seek "" "TARGET" "" ${ARGN})
  if(NOT TARGET ${seek_TARGET})
    find_package(${package} QUIET)
  endif()
  set(${package}_SEEN OFF)
  if(TARGET ${seek_TARGET})
    set(${package}_SEEN ON)
  endif()
endmacro()
