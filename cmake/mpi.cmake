# SPDX-License-Identifier: Apache-2.0
# tempera::mpi: processes that train one model, by MPI; made where an MPI library is found.

# tempera_add_mpi([IMPORTED]): defines tempera::mpi when MPI is there; IMPORTED: for an installed package.
function(tempera_add_mpi)
  set(MPI_CXX_SKIP_MPICXX ON)  # the C interface is all that is used
  find_package(MPI QUIET COMPONENTS CXX)
  if(NOT MPI_CXX_FOUND)
    return()
  endif()
  if("IMPORTED" IN_LIST ARGN)
    add_library(tempera::mpi INTERFACE IMPORTED GLOBAL)  # so that what links it can be exported
    target_link_libraries(tempera::mpi INTERFACE tempera::tempera MPI::MPI_CXX)
    return()
  endif()
  add_library(tempera_mpi INTERFACE)
  add_library(tempera::mpi ALIAS tempera_mpi)
  target_link_libraries(tempera_mpi INTERFACE tempera::tempera MPI::MPI_CXX)
  set(MPIEXEC_EXECUTABLE "${MPIEXEC_EXECUTABLE}" PARENT_SCOPE)
  set(MPIEXEC_NUMPROC_FLAG "${MPIEXEC_NUMPROC_FLAG}" PARENT_SCOPE)
endfunction()
