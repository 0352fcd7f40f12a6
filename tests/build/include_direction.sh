#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Reads the #include lines of the headers against the house's list: a folder sees itself and what stands here.
# Installed headers otherwise include Eigen and the standard library, but for the few made for another library.
cat >"${TMPDIR:-/tmp}/tempera_rules.$$" <<'RULES'
core:
graph: core
nn: graph core
device: core
cpu: device core
cuda: device core
io: core
parallel: device core
loss: device core
optim: device core
runtime: graph device cpu io core
data: device io core
image: cpu data device io core
pipeline: graph nn device cpu io loss optim runtime data core
interop: core
RULES
find include/tempera -type f | sort | xargs awk -v rules="${TMPDIR:-/tmp}/tempera_rules.$$" '
BEGIN {
    while ((getline line < rules) > 0) {
        split(line, part, ":")
        sees[part[1]] = " " part[1] part[2] " "
    }
    split("algorithm any array atomic barrier bit bitset cctype cerrno cfenv cfloat charconv chrono cinttypes climits csetjmp " \
          "clocale cmath compare complex concepts condition_variable coroutine csignal cstdarg cstddef cstdint cstdio " \
          "cstdlib cstring ctime deque exception execution filesystem forward_list fstream functional future " \
          "initializer_list iomanip ios iosfwd iostream istream iterator latch limits list locale map memory " \
          "memory_resource mutex new numbers numeric optional ostream queue random ranges ratio scoped_allocator " \
          "semaphore set shared_mutex source_location span sstream stack stdexcept stop_token streambuf string " \
          "string_view system_error thread tuple type_traits typeindex typeinfo unordered_map unordered_set utility " \
          "valarray variant vector version " \
          "immintrin.h xmmintrin.h cpuid.h fcntl.h unistd.h sched.h sys/mman.h sys/stat.h sys/types.h sys/wait.h sys/syscall.h " \
          "sys/ioctl.h sys/resource.h", names, " ")
    for (i in names) standard[names[i]] = 1
}
FNR == 1 {
    path = FILENAME
    sub("include/tempera/", "", path)
    folder = path
    if (!sub("/.*", "", folder)) folder = ""   # an umbrella: tempera.hpp, nn.hpp, ...
    umbrella = ""
    if (folder == "") { umbrella = path; sub("\\.hpp$", "", umbrella) }
    if ($0 !~ /^\/\/ SPDX-License-Identifier: Apache-2.0$/) wrong("the first line is not the SPDX line")
    if (folder != "" && !(folder in sees)) wrong("folder " folder " is not in the list of folders")
}
/^[ \t]*#[ \t]*include/ {
    if ($0 !~ /<[^>]+>/) {
        if (folder != "cuda" && folder != "cpu") wrong("include with <tempera/folder/file>: " $0)
        next
    }
    target = $0
    sub(/^[^<]*</, "", target)
    sub(/>.*/, "", target)
    if (target ~ /^tempera\//) {
        sub("tempera/", "", target)
        other = target
        if (!sub("/.*", "", other)) { other = target; sub("\\.hpp$", "", other) }
        if (folder == "") {
            if (umbrella == "tempera" && other ~ /^(cuda|image|mpi|interop)$/) wrong("tempera.hpp does not bring " other)
            else if (umbrella in sees && index(sees[umbrella], " " other " ") == 0 && umbrella != "cuda") wrong(umbrella " may not include " other)
        } else if (index(sees[folder], " " other " ") == 0) wrong(folder " may not include " other " (" target ")")
        next
    }
    if (target ~ /^Eigen\// || target in standard) next
    if (path == "io/gzip.hpp" && target == "zlib.h") next
    if (path == "parallel/mpi_communicator.hpp" && target == "mpi.h") next
    if (folder == "image" && target ~ /^(jpeglib|jerror|png)\.h$/) next
    if (folder == "interop" && target ~ /^(xtensor|xtl|dlpack)\//) next
    if (folder == "cuda" && target ~ /^(cuda|cublas|cudnn|nccl|mma)/) next
    wrong("installed headers need Eigen and the standard library alone, not <" target ">")
}
function wrong(what) { print FILENAME ":" FNR ": " what; bad = 1 }
END { exit bad }
'
status=$?
rm -f "${TMPDIR:-/tmp}/tempera_rules.$$"
exit $status
