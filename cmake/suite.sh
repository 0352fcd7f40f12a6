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
    command -v ninja >/dev/null || set -- -G 'Unix Makefiles' "$@"
    echo "+ cmake --preset $preset $*"
    if cmake --preset "$preset" "$@" >"build/$preset.configure" 2>&1; then
        grep -E '^-- tempera: |Warning' "build/$preset.configure" || true
    else
        cat "build/$preset.configure" >&2
        return 1
    fi
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
    # ctest calls a program that is missing "skipped" too: only what says so itself is skipped here.
    total_here=$(grep -c '<testcase ' "$results")
    passed_here=$(grep -c '<testcase .* status="run"' "$results")
    skipped_here=$(grep -c '<skipped message="SKIP_' "$results")
    passed=$((passed + passed_here))
    skipped=$((skipped + skipped_here))
    failed=$((failed + total_here - passed_here - skipped_here))
}

# run_suite test|full [ctest options]: the last line counts all test cases.
run_suite() {
    suite=$1
    shift
    broken=
    slow=OFF lean=OFF
    [ "$suite" = test ] || slow=ON
    # Options choose among the tests of either build.
    [ "$suite$#" = test0 ] && lean=ON
    suite_build dev "$@"
    suite_build asan-ubsan "$@"
    if [ "$suite" = full ]; then
        suite_build clang "$@"
        suite_build tsan -R 'thread|pool|loader|parallel' "$@"
        suite_build fuzz -R '^fuzz: ' "$@"
    fi
    # A build error is a failure even where every test that was built has passed.
    if [ -n "$broken" ]; then
        echo "cmake/run: errors in the build of$broken, see above"
        [ "$failed" -gt 0 ] || failed=1
    fi
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
}

suite_build() {
    preset=$1
    shift
    if ! configure "$preset" "-DTEMPERA_SLOW=$slow" "-DTEMPERA_LEAN=$lean"; then
        echo "cmake/run: build/$preset was not configured"
        failed=$((failed + 1))
        return
    fi
    build "$preset" all || broken="$broken build/$preset"
    run_tests "$preset" "$@"
}

# run_benchmarks [--shares | options of Google Benchmark]
run_benchmarks() {
    bench_status=0
    if [ "${1-}" = --shares ]; then
        run build/release/benchmarks/shares
        return
    fi
    for program in build/release/benchmarks/*; do
        if [ -f "$program" ] && [ -x "$program" ]; then run "$program" "$@" || bench_status=1; fi
    done
    # Options choose among the programs' benchmarks; without any, what compiling costs is measured too.
    if [ $# -eq 0 ]; then run sh benchmarks/compile.sh || bench_status=1; fi
    return $bench_status
}
