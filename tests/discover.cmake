# SPDX-License-Identifier: Apache-2.0
# Every Catch test case of a program becomes a ctest test, once per instruction set that is asked for.
# Included by tests/CMakeLists.txt it defines tempera_discover; run as a script after a program is linked it lists the cases.
# (Catch's own module cannot register the cases of one program twice.)

if(NOT CMAKE_SCRIPT_MODE_FILE)
  set(tempera_discover_script "${CMAKE_CURRENT_LIST_FILE}")
  # tempera_discover(<program> <folder> <specification or empty> [<instruction set>...])
  function(tempera_discover program folder specification)
    set(list "${CMAKE_CURRENT_BINARY_DIR}/${program}_cases.cmake")
    set(version 3)
    if(Catch2_VERSION AND Catch2_VERSION VERSION_LESS 3)
      set(version 2)
    endif()
    add_custom_command(TARGET ${program} POST_BUILD VERBATIM BYPRODUCTS "${list}"
      COMMAND "${CMAKE_COMMAND}" -D "program=$<TARGET_FILE:${program}>" -D "folder=${folder}" -D "list=${list}"
              -D "specification=${specification}" -D "instruction_sets=${ARGN}" -D "catch=${version}"
              -P "${tempera_discover_script}")
    # A program that was not built is a test that fails.
    file(CONFIGURE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/${program}_include.cmake" @ONLY CONTENT
"if(EXISTS \"@list@\" AND EXISTS \"${CMAKE_CURRENT_BINARY_DIR}/@program@\")
  include(\"@list@\")
else()
  add_test(\"@folder@: the program was not built\" \"@CMAKE_COMMAND@\" -E false)
endif()
")
    set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${CMAKE_CURRENT_BINARY_DIR}/${program}_include.cmake")
  endfunction()
  return()
endif()

if(catch EQUAL 2)
  set(listing --list-test-names-only)
  set(strict "--warn NoTests")  # version 3 fails by itself when a name matches nothing
else()
  set(listing --list-tests --verbosity quiet)
endif()
# The exit code of the older listing is the number of cases.
execute_process(COMMAND "${program}" ${specification} ${listing} OUTPUT_VARIABLE cases RESULT_VARIABLE result
                ERROR_VARIABLE errors)
if(NOT result MATCHES "^[0-9]+$" OR cases STREQUAL "")
  message(FATAL_ERROR "${program} does not list its test cases: ${result} ${errors}")
endif()
list(APPEND instruction_sets chosen)  # the one that the program takes by itself
string(REGEX REPLACE "\n$" "" cases "${cases}")
string(REPLACE "\n" ";" cases "${cases}")
set(script "")
foreach(case IN LISTS cases)
  string(STRIP "${case}" case)
  string(REGEX REPLACE "([][,\\])" "\\\\\\1" pattern "${case}")
  foreach(isa IN LISTS instruction_sets)
    set(name "${folder}: ${case}")
    set(environment "")
    if(NOT isa STREQUAL "chosen")
      set(name "${folder} on ${isa}: ${case}")
      set(environment "ENVIRONMENT TEMPERA_ISA=${isa}")
    endif()
    string(APPEND script "add_test([==[${name}]==] [==[${program}]==] [==[${pattern}]==] ${strict})\n"
      "set_tests_properties([==[${name}]==] PROPERTIES TIMEOUT 300 SKIP_REGULAR_EXPRESSION \"SKIPPED: \" ${environment})\n")
  endforeach()
endforeach()
file(WRITE "${list}" "${script}")
