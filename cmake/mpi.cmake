# SPDX-License-Identifier: Apache-2.0
# tempera::mpi: processes that train one model, by MPI; made where an MPI library is found.

option(TEMPERA_MPI "Make tempera::mpi where an MPI library is found" ON)

# tempera_add_mpi(): defines tempera_mpi and its alias when MPI is there.
function(tempera_add_mpi)
  set(MPI_CXX_SKIP_MPICXX ON)  # the C interface is all that is used
  find_package(MPI QUIET COMPONENTS CXX)
  if(NOT MPI_CXX_FOUND)
    return()
  endif()
  add_library(tempera_mpi INTERFACE)
  add_library(tempera::mpi ALIAS tempera_mpi)
  target_link_libraries(tempera_mpi INTERFACE tempera::tempera MPI::MPI_CXX)
  set(MPIEXEC_EXECUTABLE "${MPIEXEC_EXECUTABLE}" PARENT_SCOPE)
  set(MPIEXEC_NUMPROC_FLAG "${MPIEXEC_NUMPROC_FLAG}" PARENT_SCOPE)
endfunction()
