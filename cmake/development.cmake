# SPDX-License-Identifier: Apache-2.0
# Flags of our own programs only; nothing here reaches a user's build.
add_library(tempera_development INTERFACE)
target_link_libraries(tempera_development INTERFACE tempera::tempera)
# Results do not depend on where a compiler contracts a * b + c: kernels that want an fma say so.
target_compile_options(tempera_development INTERFACE -ffp-contract=off)

# OpenMPI refuses root and more processes than cores unless told, and in containers warns of a way of copying.
set(TEMPERA_MPI_ENVIRONMENT OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
    OMPI_MCA_btl_vader_single_copy_mechanism=none)
# Whether mpirun can start processes here: not every container lets it.
set(TEMPERA_MPI_RUNS OFF)
set(TEMPERA_MPI_MISSING "no MPI library is installed")
if(TARGET tempera::mpi)
  execute_process(COMMAND "${CMAKE_COMMAND}" -E env ${TEMPERA_MPI_ENVIRONMENT}
                  "${MPIEXEC_EXECUTABLE}" ${MPIEXEC_NUMPROC_FLAG} 2 "${CMAKE_COMMAND}" -E true
                  RESULT_VARIABLE mpirun_result OUTPUT_QUIET ERROR_QUIET TIMEOUT 60)
  if(mpirun_result EQUAL 0)
    set(TEMPERA_MPI_RUNS ON)
  else()
    set(TEMPERA_MPI_MISSING "mpirun starts no processes here (${mpirun_result})")
  endif()
endif()

# A test that says why it cannot run here, and is counted as skipped.
function(tempera_add_skipped name reason)
  add_test(NAME "${name}" COMMAND "${CMAKE_COMMAND}" -E echo "SKIPPED: ${reason}")
  set_tests_properties("${name}" PROPERTIES SKIP_REGULAR_EXPRESSION "SKIPPED: ")
endfunction()

# tempera_needs(<file>): `needed`, the libraries that a program of ours links beside tempera for what the file includes; and
# `missing`, why it cannot be built here, or nothing.
tempera_seek(ZLIB TARGET ZLIB::ZLIB)
tempera_seek(xtensor TARGET xtensor)
function(tempera_needs file)
  set(headers "tempera/io/gzip.hpp|<zlib.h>" "xtensor" "<tempera/image" "<tempera/mpi" "<CLI/CLI.hpp>")
  set(libraries ZLIB::ZLIB xtensor tempera::image tempera::mpi CLI11::CLI11)
  set(absences "ZLIB is not installed" "xtensor is not installed" "libjpeg or libpng is not installed"
      "${TEMPERA_MPI_MISSING}" "CLI11 is not installed")
  set(needed "")
  set(missing "")
  foreach(header library absence IN ZIP_LISTS headers libraries absences)
    file(STRINGS "${file}" wants REGEX "#include.*(${header})" LIMIT_COUNT 1)
    if(NOT wants)
      continue()
    endif()
    list(APPEND needed ${library})
    if(NOT TARGET ${library} OR library STREQUAL "tempera::mpi" AND NOT TEMPERA_MPI_RUNS)
      set(missing "${absence}")
    endif()
  endforeach()
  set(needed "${needed}" PARENT_SCOPE)
  set(missing "${missing}" PARENT_SCOPE)
endfunction()
