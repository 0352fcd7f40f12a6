# SPDX-License-Identifier: Apache-2.0
# tempera::compiled: kernels and steps of the cpu, compiled once for programs of many files; made when it is linked.

# tempera_add_compiled(<folder of the headers>): defines tempera_compiled and its alias.
function(tempera_add_compiled headers)
  add_library(tempera_compiled STATIC EXCLUDE_FROM_ALL "${headers}/tempera/compiled.cpp")
  add_library(tempera::compiled ALIAS tempera_compiled)
  target_link_libraries(tempera_compiled PUBLIC tempera::tempera)
  target_compile_definitions(tempera_compiled PUBLIC TEMPERA_COMPILED)
  # As in kernels (cpu/begin_target.hpp), a * b + c is contracted nowhere else, where every processor has an fma.
  target_compile_options(tempera_compiled PRIVATE -ffp-contract=off)
  # A project that chose no build type would get kernels sixteen times slower.
  if(NOT CMAKE_CXX_FLAGS MATCHES "-O")
    target_compile_options(tempera_compiled PRIVATE "$<$<CONFIG:>:-O2>")
  endif()
  set_target_properties(tempera_compiled PROPERTIES POSITION_INDEPENDENT_CODE ON)
endfunction()
