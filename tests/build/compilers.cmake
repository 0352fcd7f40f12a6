# SPDX-License-Identifier: Apache-2.0
# What must compile, and what must not and say why: on this build's compiler, on clang, and on nvcc where found.

# tempera_compiles(<name> <source> <command>...): into an object that later tests read.
function(tempera_compiles name source)
  if(EXISTS "${PROJECT_SOURCE_DIR}/${source}")
    add_test(NAME "build: ${name}" COMMAND ${ARGN} -c "${PROJECT_SOURCE_DIR}/${source}"
             WORKING_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}")
    set_tests_properties("build: ${name}" PROPERTIES TIMEOUT 600 COST 20)
  endif()
endfunction()

file(GLOB refused CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/compile_fail/*.cpp")
foreach(source IN LISTS refused)
  get_filename_component(name "${source}" NAME_WE)
  tempera_add_script("${name} is refused by g++" compile_fail.sh "${source}" "${CMAKE_CXX_COMPILER}" -std=c++20 ${includes})
  if(clang)
    tempera_add_script("${name} is refused by clang" compile_fail.sh "${source}" "${clang}" -std=c++20 ${includes})
  endif()
endforeach()

if(TEMPERA_SLOW)
  tempera_add_script("benchmarks compile" programs_compile.sh "${PROJECT_SOURCE_DIR}/benchmarks" "${CMAKE_CXX_COMPILER}"
                     -std=c++20 -Wall -Wextra -Werror -DTEMPERA_COMPILED ${includes})
endif()
tempera_compiles("surface compiles with g++" tests/surface.cpp ${gcc} -O1 -o surface_gcc.o)
if(clang)
  tempera_compiles("surface compiles with clang" tests/surface.cpp ${clang_command} -O0 -o surface_clang.o)
  tempera_compiles("ResNet-200 within clang's 700000 constexpr steps" tests/constexpr_steps.cpp
                   ${clang_command} -fconstexpr-steps=700000 -fsyntax-only)
else()
  tempera_add_skipped("build: clang" "no clang++: apt-get install clang")
endif()
set(other_compiler "${CMAKE_CXX_COMPILER}")
if(clang)
  set(other_compiler "${clang}")
endif()
tempera_add_script("weights have the same bits from two compilers" same_bits.sh "${CMAKE_CURRENT_BINARY_DIR}/same_bits"
                   "${CMAKE_CXX_COMPILER}" "${other_compiler}" ${includes})
# nvcc 13 with clang as its host compiler evaluates plans wrongly; docs/cuda.md asks for g++.
if(CUDAToolkit_NVCC_EXECUTABLE AND NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  tempera_add_skipped("build: nvcc" "nvcc is tested with g++ as its host compiler, in the dev build")
elseif(CUDAToolkit_NVCC_EXECUTABLE)
  # Eigen's functions without __host__ __device__ are no fault of ours.
  tempera_compiles("surface compiles with nvcc" tests/surface.cpp "${CUDAToolkit_NVCC_EXECUTABLE}" -x cu -std=c++20
                   -ccbin "${CMAKE_CXX_COMPILER}" ${includes} -diag-suppress 20012,20014,20015 -o surface_nvcc.o)
  # tempera::cuda itself is built for sm_80; each more makes the slowest test of all longer
  set(generate "-gencode=arch=compute_90a,code=[sm_90a,compute_90a]")
  if(TEMPERA_SLOW)
    list(APPEND generate "-gencode=arch=compute_80,code=sm_80" "-gencode=arch=compute_100,code=[sm_100,compute_100]")
  endif()
  tempera_add_script("kernels compile with nvcc for other GPUs, within their registers" kernel_resources.sh
                     "${CMAKE_CURRENT_SOURCE_DIR}/kernel_resources.txt" "${CMAKE_CURRENT_BINARY_DIR}"
                     "${CUDAToolkit_NVCC_EXECUTABLE}" -std=c++20 -O3 -ccbin "${CMAKE_CXX_COMPILER}" ${includes}
                     -Werror all-warnings -Xcompiler=-Wall,-Wextra,-Wshadow ${generate}
                     -c "${PROJECT_SOURCE_DIR}/include/tempera/cuda/kernels.cu" -o kernels.o)
else()
  foreach(what surface kernels)
    tempera_add_skipped("build: ${what} compiles with nvcc" "no nvcc: sh cmake/run test --cuda installs it")
  endforeach()
endif()

tempera_add_script("wide instructions stay in their namespaces" wide_instructions.sh
                   "${PROJECT_BINARY_DIR}/examples" "${PROJECT_BINARY_DIR}/CMakeFiles/tempera_compiled.dir"
                   "${CMAKE_CURRENT_BINARY_DIR}/surface_gcc.o")
set_tests_properties("build: wide instructions stay in their namespaces" PROPERTIES DEPENDS "build: surface compiles with g++")
