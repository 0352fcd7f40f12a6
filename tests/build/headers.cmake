# SPDX-License-Identifier: Apache-2.0
# Two units that include all headers link; and each header compiles alone, a slow ctest test per folder.
file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/include/*.hpp")
set(umbrella "")
set(header_folders "")
foreach(header IN LISTS headers)
  file(STRINGS "${PROJECT_SOURCE_DIR}/include/${header}" once REGEX "^#pragma once" LIMIT_COUNT 1)
  file(STRINGS "${PROJECT_SOURCE_DIR}/include/${header}" foreign
       REGEX "#include <(zlib|xtensor|xtl|cuda|cublas|nccl|mpi|jpeg|png).*>|#include <tempera/(cuda|image|parallel/mpi)" LIMIT_COUNT 1)
  if(NOT once)
    continue()  # kernels that are included once per instruction set
  endif()
  if(foreign MATCHES "zlib" AND NOT ZLIB_SEEN OR foreign MATCHES "xt(ensor|l)" AND NOT xtensor_SEEN
     OR foreign MATCHES "cuda|cublas" AND NOT CUDAToolkit_FOUND OR foreign MATCHES "mpi" AND NOT TARGET tempera::mpi
     OR foreign MATCHES "jpeg|png|tempera/image" AND NOT TARGET tempera::image OR foreign MATCHES "nccl")
    tempera_add_skipped("build: ${header} compiles alone" "a library that it is for is not installed: ${foreign}")
    continue()
  endif()
  if(NOT foreign OR foreign MATCHES "jpeg|png|tempera/image")
    string(APPEND umbrella "#include <${header}>\n")
  endif()
  get_filename_component(folder "${header}" DIRECTORY)
  string(REPLACE "/" "_" folder "${folder}")
  list(APPEND header_folders ${folder})
  list(APPEND headers_${folder} "${header}")
endforeach()
list(REMOVE_DUPLICATES header_folders)
foreach(folder IN LISTS header_folders)
  string(REPLACE "_" "/" path "${folder}")
  list(JOIN headers_${folder} " " names)
  # Declarations of kernels are enough, as users of tempera::compiled see them; the units below hold all kernels.
  if(TEMPERA_SLOW)
    tempera_add_script("headers of ${path} compile alone" headers_alone.sh "${names}" ${gcc} -DTEMPERA_COMPILED)
  endif()
endforeach()

foreach(unit first second)
  file(CONFIGURE OUTPUT ${unit}_unit.cpp CONTENT "@umbrella@int ${unit}_unit() { return 0; }\n" @ONLY)
endforeach()
file(CONFIGURE OUTPUT units.cpp CONTENT
     "int first_unit();\nint second_unit();\nint main() { return first_unit() + second_unit(); }\n")
add_executable(two_units first_unit.cpp second_unit.cpp units.cpp)
target_link_libraries(two_units PRIVATE tempera_development)
if(TARGET tempera::image)
  target_link_libraries(two_units PRIVATE tempera::image)
endif()
target_compile_options(two_units PRIVATE -O0)  # what links unoptimized links; half the time
add_test(NAME "build: two units that include everything link" COMMAND two_units)
