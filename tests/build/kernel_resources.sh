#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# kernel_resources.sh <table> <folder> <nvcc> <options>...: compiles the kernels in a folder and compares what ptxas says
# of them with the table: registers per architecture and shared memory, the largest of a kernel's element types. Spilled
# registers, more of anything, and kernels that only one of both knows fail. The new table stays in the folder as
# kernel_resources.txt, to be copied over the old one when it is right. Without sm_100 its column stays as it was; other
# architectures may not spill.
table=$1
nvcc=$3
cd "$2" || exit 1
shift 2

"$@" -Xptxas -v >kernel_resources.log 2>&1 || {
    grep -v "^ptxas info" kernel_resources.log
    exit 1
}

# lines of ptxas -> kernel, architecture, registers, shared bytes, spilled bytes
awk '/Compiling entry function/ { split($0, part, "\047"); name = part[2]; architecture = part[4]; spilled = 0 }
     /bytes spill stores/ && name != "" { spilled = $5 + $9 }
     /Used [0-9]+ registers/ && name != "" {
         shared = match($0, /[0-9]+ bytes smem/) ? substr($0, RSTART) + 0 : 0
         match($0, /Used [0-9]+/)
         print name "\t" architecture "\t" substr($0, RSTART + 5) + 0 "\t" shared "\t" spilled
         name = ""
     }' kernel_resources.log | c++filt |
    sed -e 's/^void //' -e 's/tempera::\(cuda_kernels::\)\{0,1\}//g' -e 's/([^\t]*//' -e 's/ //g' \
        -e 's/\<\(bf16\|half\|float\)\>/T/g' -e 's/^each_kernel<\(.*\)>\t/\1\t/' >kernel_resources.tsv

release=$("$nvcc" --version | sed -n 's/.*release \([0-9.]*\).*/\1/p')
awk -F '\t' '
    NR == FNR { if (!/^#/) { split($0, row, / +/); old[row[1]] = row[3] }; next }
    { shared[$1] = $4 > shared[$1] ? $4 : shared[$1] }
    $2 == "sm_90a" && $3 > hopper[$1] { hopper[$1] = $3 }
    $2 == "sm_100" && $3 > blackwell[$1] { blackwell[$1] = $3 }
    END {
        for (name in shared)
            printf "%-64s %4d %4d %6d\n", name, hopper[name],
                name in blackwell ? blackwell[name] : old[name], shared[name]
    }
' "$table" kernel_resources.tsv | LC_ALL=C sort >kernel_resources.rows
{
    echo "# Registers of each kernel on sm_90a and on sm_100, and its bytes of shared memory: nvcc $release"
    cat kernel_resources.rows
} >kernel_resources.txt

if awk -F '\t' '$5 > 0 { print $1 " spills " $5 " bytes on " $2; bad = 1 } END { exit !bad }' kernel_resources.tsv; then
    exit 1
fi
if ! grep -q "^#.*nvcc $release\$" "$table"; then
    echo "SKIPPED: the kernels compile and do not spill; their table was made by another nvcc than $release"
    exit 0
fi
awk 'NR == FNR && !/^#/ { known[$1] = 1; for (i = 2; i <= 4; ++i) most[$1, i] = $i; next }
     /^#/ { next }
     { seen[$1] = 1 }
     !($1 in known) { print $1 " is not in the table"; bad = 1; next }
     { for (i = 2; i <= 4; ++i) if ($i > most[$1, i]) { print $1 ": " $i ", was " most[$1, i]; bad = 1 } }
     END {
         for (name in known) if (!(name in seen)) { print name " is in the table and gone"; bad = 1 }
         print length(seen) " kernels read"
         exit bad || length(seen) == 0
     }' "$table" kernel_resources.txt
