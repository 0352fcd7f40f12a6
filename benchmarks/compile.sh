#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What compiling costs: seconds of processor time and peak memory of programs that include parts of the library, with
# g++ and clang, against the budgets; and how g++ divides the front page. Command: sh benchmarks/compile.sh [rounds]
# The best of the rounds counts. Exit code 1 when a budget is exceeded.
cd "$(dirname "$0")/.." || exit 1
case ${1-} in '' | *[!0-9]*) rounds=3 ;; *) rounds=$1 ;; esac
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
command -v python3 >/dev/null || { echo "benchmarks/compile.sh: left out, it measures with python3 (Debian: python3)"; exit 0; }
for eigen in /usr/include/eigen3 /usr/local/include/eigen3 build/deps/usr/include/eigen3; do [ -d "$eigen/Eigen" ] && break; done

# measure <command>...: prints "<seconds> <MB>", the least of the rounds; processor time, since other programs may run.
measure() {
    python3 - "$rounds" "$@" <<'PYTHON'
import os, subprocess, sys
best_seconds, best_memory = 1e30, 1e30
for _ in range(int(sys.argv[1])):
    process = subprocess.Popen(sys.argv[2:])
    _, status, used = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(1)
    best_seconds = min(best_seconds, used.ru_utime + used.ru_stime)
    best_memory = min(best_memory, used.ru_maxrss / 1024)
print("%.2f %.0f" % (best_seconds, best_memory))
PYTHON
}

# line <name> <seconds allowed> <MB allowed> <command>...: one row of the table; "-" where nothing is promised.
over=0
line() {
    name=$1 allowed_seconds=$2 allowed_memory=$3
    shift 3
    found=$(measure "$@") || { echo "does not compile: $*"; exit 1; }
    verdict=$(echo "$found $allowed_seconds $allowed_memory" | awk '{
        if ($3 == "-") exit
        print ($1 <= $3 && ($4 == "-" || $2 <= $4)) ? "within the budget" : "over the budget of " $3 " s" ($4 == "-" ? "" : " and " $4 " MB") }')
    case $verdict in over*) over=1 ;; esac
    echo "$found" | awk -v name="$name" -v verdict="$verdict" '{ printf "%-46s %7.2f s %6d MB  %s\n", name, $1, $2, verdict }'
}

for compiler in g++ clang++; do
    command -v $compiler >/dev/null || { echo "$compiler is not installed, left out"; continue; }
    options="-std=c++20 -I include -isystem $eigen"
    $compiler --version | head -n 1
    echo 'int main() {}' >"$work/nothing.cpp"
    line "an empty program" - - $compiler $options -O2 -c "$work/nothing.cpp" -o "$work/out.o"
    printf '#include <Eigen/Core>\nint main() {}\n' >"$work/eigen.cpp"
    line "Eigen/Core, which the kernels include" - - $compiler $options -O2 -c "$work/eigen.cpp" -o "$work/out.o"
    printf '#include <tempera/nn.hpp>\nint main() {}\n' >"$work/nn.cpp"
    line "tempera/nn.hpp" 1 - $compiler $options -O2 -c "$work/nn.cpp" -o "$work/out.o"
    cat >"$work/plan.cpp" <<'CODE'
#include <tempera/nn.hpp>
using namespace tempera;
inline constexpr auto encoder = resnet<resnet_config{.depth = 152, .width = 3, .selective_kernel = true}>;
static_assert(plan_of<encoder, shape{224, 224, 3}>.parameters == 794'704'160);
int main() {}
CODE
    line "the plan of ResNet-152 3x SK" - - $compiler $options -O2 -c "$work/plan.cpp" -o "$work/out.o"
    for part in cpu data pipeline tempera; do
        header=tempera/$part.hpp
        printf '#include <%s>\nint main() {}\n' "$header" >"$work/part.cpp"
        line "$header, parsed only" - - $compiler $options -fsyntax-only "$work/part.cpp"
    done
    line "examples/front_page.cpp, parsed only" - - $compiler $options -fsyntax-only examples/front_page.cpp
    line "examples/front_page.cpp -O0" - - $compiler $options -O0 -c examples/front_page.cpp -o "$work/out.o"
    line "examples/front_page.cpp -O2, tempera::compiled" 8 800 $compiler $options -O2 -DTEMPERA_COMPILED \
        -c examples/front_page.cpp -o "$work/out.o"
    line "examples/front_page.cpp -O2, headers alone" 8 800 $compiler $options -O2 -c examples/front_page.cpp -o "$work/out.o"
    echo "code in it, KB by namespace:"
    nm -C -S --size-sort "$work/out.o" | awk '
        { size = 0; hex = $2; for (i = 1; i <= length(hex); ++i) size = 16 * size + index("0123456789abcdef", substr(hex, i, 1)) - 1 }
        $3 !~ /[TtWw]/ { next }
        { name = $0; sub(/^[^ ]+ [^ ]+ [^ ]+ /, "", name); part = "the rest of tempera and the program"
          if (name ~ /cpu_kernels::portable/) part = "kernels, portable"
          else if (name ~ /cpu_kernels::avx512/) part = "kernels, AVX-512"
          else if (name ~ /cpu_kernels::avx2/) part = "kernels, AVX2"
          else if (name ~ /Eigen::/) part = "Eigen"
          else if (name ~ /^[^(]*std::/ && name !~ /^[^(]*tempera::/) part = "the standard library"
          sum[part] += size }
        END { for (part in sum) printf "    %-40s %7.0f\n", part, sum[part] / 1024 }' | sort
    echo
done
exit $over
