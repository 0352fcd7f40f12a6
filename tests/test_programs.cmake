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
  set_target_properties(standalone_${name} PROPERTIES OUTPUT_NAME ${name})
  add_test(NAME "standalone: ${name}" COMMAND standalone_${name})
  set_tests_properties("standalone: ${name}" PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)
endforeach()
