# SPDX-License-Identifier: Apache-2.0
# Part of cmake/run: building, and running tests and benchmarks.

passed=0 failed=0 skipped=0

# configure <preset> [options]
configure() {
    preset=$1
    shift
    # A build folder made with other paths (a moved or copied tree) would only confuse cmake.
    cache=build/$preset/CMakeCache.txt
    if [ -f "$cache" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" "$cache"; then run rm -rf "build/$preset"; fi
    if command -v ninja >/dev/null; then
        run cmake --preset "$preset" "$@" >"build/$preset.configure" 2>&1
    else
        run cmake --preset "$preset" -G 'Unix Makefiles' "$@" >"build/$preset.configure" 2>&1
    fi
    status=$?
    grep -E 'tempera: |Warning|Error' "build/$preset.configure"
    [ $status -eq 0 ] || cat "build/$preset.configure" >&2
    return $status
}

# build <preset> <target>: goes on after an error, so that one broken file costs only its own tests.
build() {
    run cmake --build "build/$1" --target "$2" -- -k $(command -v ninja >/dev/null && echo 0)
}

# run_tests <preset> [ctest options]: adds to passed, failed and skipped.
run_tests() {
    preset=$1
    shift
    results=$PWD/build/$preset/results.xml
    rm -f "$results"
    run ctest --test-dir "build/$preset" --output-on-failure --no-tests=error -j "$jobs" --output-junit "$results" "$@" ||
        echo "cmake/run: tests of build/$preset failed; they are named above"
    if [ ! -f "$results" ]; then
        failed=$((failed + 1))
        return
    fi
    total_here=$(attribute tests) failed_here=$(attribute failures)
    skipped_here=$(($(attribute skipped) + $(attribute disabled)))
    passed=$((passed + total_here - failed_here - skipped_here))
    failed=$((failed + failed_here))
    skipped=$((skipped + skipped_here))
}

# A number of the suite's element in ctest's JUnit file.
attribute() {
    sed -n "/<testsuite/,/>/s/.*[[:space:]]$1=\"\([0-9]*\)\".*/\1/p" "$results" | head -n 1
}

# run_suite test|full [ctest options]: the last line counts all test cases.
run_suite() {
    suite=$1
    shift
    suite_status=0
    suite_build dev "$@"
    suite_build asan-ubsan "$@"
    if [ "$suite" = full ]; then
        suite_build tsan "$@"
        suite_build clang "$@"
    fi
    [ $failed -eq 0 ] || suite_status=1
    echo "$passed passed, $failed failed, $skipped skipped"
    return $suite_status
}

suite_build() {
    preset=$1
    shift
    if ! configure "$preset"; then
        echo "cmake/run: build/$preset was not configured"
        failed=$((failed + 1))
        return
    fi
    build "$preset" all || {
        echo "cmake/run: build/$preset has errors, see above"
        failed=$((failed + 1))
    }
    run_tests "$preset" "$@"
}

run_benchmarks() {
    bench_status=0
    for program in build/release/benchmarks/*; do
        if [ -f "$program" ] && [ -x "$program" ]; then run "$program" "$@" || bench_status=1; fi
    done
    return $bench_status
}
