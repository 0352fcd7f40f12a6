# SPDX-License-Identifier: Apache-2.0
# tests/standalone/*.cpp: programs with a main of their own (they replace malloc, or fork); exit code 77 means skipped.
file(GLOB programs CONFIGURE_DEPENDS standalone/*.cpp)
foreach(program IN LISTS programs)
  get_filename_component(name "${program}" NAME_WE)
  file(STRINGS "${program}" replaces_malloc REGEX "(malloc|posix_memalign)\\(" LIMIT_COUNT 1)
  if(TEMPERA_SANITIZED AND replaces_malloc)
    continue()  # the sanitizer replaces malloc itself
  endif()
  add_executable(standalone_${name} "${program}")
  target_link_libraries(standalone_${name} PRIVATE tempera_development)
  file(STRINGS "${program}" own_capacity REGEX "define TEMPERA_MAX_OPS" LIMIT_COUNT 1)
  if(NOT own_capacity)  # as tempera::compiled is
    target_link_libraries(standalone_${name} PRIVATE tempera::compiled)
  endif()
  set_target_properties(standalone_${name} PROPERTIES OUTPUT_NAME ${name})
  add_test(NAME "standalone: ${name}" COMMAND standalone_${name})
  set_tests_properties("standalone: ${name}" PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
endforeach()

# tests/fuzz/<target>.cpp: replayed over its corpus here; with -DTEMPERA_FUZZ=ON (clang) libFuzzer drives it for a minute.
file(GLOB targets CONFIGURE_DEPENDS fuzz/*.cpp)
list(FILTER targets EXCLUDE REGEX "/replay\\.cpp$")
if(targets AND NOT TEMPERA_FUZZ)
  add_library(fuzz_replay OBJECT fuzz/replay.cpp)
  target_link_libraries(fuzz_replay PRIVATE tempera_development)
endif()
foreach(target IN LISTS targets)
  get_filename_component(name "${target}" NAME_WE)
  tempera_needs("${target}")
  if(missing)
    tempera_add_skipped("fuzz: ${name}" "${missing}")
    continue()
  endif()
  set(corpus "${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${name}")
  if(TEMPERA_FUZZ)
    add_executable(fuzz_${name} "${target}")
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    file(MAKE_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/found_${name}")
    add_test(NAME "fuzz: ${name} for a minute" COMMAND fuzz_${name} -max_total_time=60 -timeout=1 -rss_limit_mb=512
             "${CMAKE_CURRENT_BINARY_DIR}/found_${name}" "${corpus}")
  else()
    add_executable(fuzz_${name} "${target}" $<TARGET_OBJECTS:fuzz_replay>)
    add_test(NAME "fuzz: ${name} over its corpus" COMMAND fuzz_${name} "${corpus}")
  endif()
  target_link_libraries(fuzz_${name} PRIVATE tempera_development ${needed})
endforeach()

# tests/mpi/processes.cpp: by itself and as several processes.
if(TEMPERA_MPI_RUNS AND NOT TEMPERA_SANITIZED)
  add_executable(mpi_processes mpi/processes.cpp)
  target_link_libraries(mpi_processes PRIVATE tempera_development tempera::compiled tempera::mpi)
  target_compile_definitions(mpi_processes PRIVATE TEMPERA_EXAMPLE_DATA="${PROJECT_SOURCE_DIR}/examples/data")
  add_test(NAME "mpi: a process without mpirun" COMMAND mpi_processes)
  foreach(processes 2 3)
    add_test(NAME "mpi: ${processes} processes"
             COMMAND "${MPIEXEC_EXECUTABLE}" ${MPIEXEC_NUMPROC_FLAG} ${processes} $<TARGET_FILE:mpi_processes>)
  endforeach()
  foreach(way throw abort)
    add_test(NAME "mpi: a process that fails ends all (${way})"
             COMMAND "${MPIEXEC_EXECUTABLE}" ${MPIEXEC_NUMPROC_FLAG} 3 $<TARGET_FILE:mpi_processes> --${way})
  endforeach()
  set_tests_properties("mpi: a process that fails ends all (throw)" PROPERTIES PASS_REGULAR_EXPRESSION
    "process 2 of 3 ends all of them")
  set_tests_properties("mpi: a process that fails ends all (abort)" PROPERTIES PASS_REGULAR_EXPRESSION
    "process 2 of 3: on purpose")
  set_tests_properties("mpi: a process without mpirun" "mpi: 2 processes" "mpi: 3 processes"
    "mpi: a process that fails ends all (throw)" "mpi: a process that fails ends all (abort)" PROPERTIES
    TIMEOUT 120 ENVIRONMENT "${TEMPERA_MPI_ENVIRONMENT}")
elseif(NOT TEMPERA_SANITIZED)
  tempera_add_skipped("mpi: processes" "${TEMPERA_MPI_MISSING}")
endif()
