# SPDX-License-Identifier: Apache-2.0
# tempera::cuda: the kernels, compiled once by nvcc, and the CUDA libraries; made where the CUDA Toolkit is found.
# One custom command instead of enable_language(CUDA): the toolkit is looked for in one place only, and a plain
# g++ project that uses the target needs nothing else.
option(TEMPERA_CUDA "Make tempera::cuda where the CUDA Toolkit is found" ON)
set(TEMPERA_CUDA_ARCHITECTURES "80;90a" CACHE STRING
    "Architectures of tempera::cuda (90a: with Hopper's warpgroups); the last one, without its letter, is also kept as PTX")

# tempera_add_cuda(<folder of the headers>): defines tempera_cuda and its alias when the toolkit is there.
function(tempera_add_cuda headers)
  find_package(CUDAToolkit QUIET)
  file(GLOB kernels CONFIGURE_DEPENDS "${headers}/tempera/cuda/*.cu")
  if(NOT CUDAToolkit_FOUND OR NOT CUDAToolkit_NVCC_EXECUTABLE OR NOT kernels)
    return()
  endif()
  set(generate "")
  foreach(architecture IN LISTS TEMPERA_CUDA_ARCHITECTURES)
    list(APPEND generate "-gencode=arch=compute_${architecture},code=sm_${architecture}")
  endforeach()
  list(GET TEMPERA_CUDA_ARCHITECTURES -1 newest)
  string(REGEX REPLACE "[a-z]$" "" newest "${newest}")  # PTX of 90a runs nowhere else
  list(APPEND generate "-gencode=arch=compute_${newest},code=compute_${newest}")
  set(objects "")
  foreach(kernel IN LISTS kernels)
    get_filename_component(name "${kernel}" NAME_WE)
    set(object "${CMAKE_CURRENT_BINARY_DIR}/tempera_cuda_${name}.o")
    add_custom_command(OUTPUT "${object}" DEPFILE "${object}.d" DEPENDS "${kernel}" VERBATIM
      COMMENT "Compiling CUDA kernels ${name}.cu for ${TEMPERA_CUDA_ARCHITECTURES}"
      COMMAND "${CUDAToolkit_NVCC_EXECUTABLE}" -std=c++20 -O3 -ccbin "${CMAKE_CXX_COMPILER}" ${generate}
              -I "${headers}" -Xcompiler=-fPIC -MD -MF "${object}.d" -c "${kernel}" -o "${object}")
    list(APPEND objects "${object}")
  endforeach()
  add_library(tempera_cuda STATIC EXCLUDE_FROM_ALL ${objects})  # half a minute of nvcc: only for who links it
  add_library(tempera::cuda ALIAS tempera_cuda)
  set_target_properties(tempera_cuda PROPERTIES LINKER_LANGUAGE CXX)
  target_link_libraries(tempera_cuda PUBLIC tempera::tempera CUDA::cudart CUDA::cublas CUDA::cublasLt)
endfunction()
