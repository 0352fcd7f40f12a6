#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# wide_instructions.sh <folder or object>...: in a build without -march, no function that the linker may merge with
# another unit's (a weak symbol) holds ymm, zmm or tmm registers, but those of the namespaces per instruction set.
# One such function, taken from the wrong unit, would crash machines that lack the instructions.
command -v objdump >/dev/null || { echo "SKIPPED: no objdump (Debian: binutils)"; exit 0; }
case $(uname -m) in x86_64) ;; *) echo "SKIPPED: ymm, zmm and tmm are registers of x86-64"; exit 0 ;; esac
objects=$(find "$@" -name '*.o' -not -path '*cuda*' 2>/dev/null)
[ -n "$objects" ] || { echo "no objects in $*"; exit 1; }
wide=0 status=0
for object in $objects; do
    grep -qE '(4avx2|6avx512|11avx512_bf16|3amx)[0-9]' "$object" || continue  # mangled names, not texts
    wide=$((wide + 1))
    nm "$object" | awk '$2 ~ /^[WVu]$/ { print $3 }' | sort -u >"$object.weak"
    objdump -d --no-show-raw-insn "$object" | awk -v object="$object" -v weak="$object.weak" '
        BEGIN { while ((getline name < weak) > 0) is_weak[name] = 1 }
        /^[0-9a-f]+ <.*>:$/ { name = $2; gsub(/[<>:]/, "", name); sub(/\.(cold|part|constprop|isra).*/, "", name) }
        /%[tyz]mm/ && is_weak[name] && name !~ /4avx2|6avx512|11avx512_bf16|3amx/ && !(name in told) {
            told[name] = 1
            print object ": " name
            bad = 1
        }
        END { exit bad }' || status=1
    rm -f "$object.weak"
done
[ $wide -gt 0 ] || { echo "SKIPPED: no object holds kernels yet"; exit 0; }
[ $status -eq 0 ] || echo "the weak functions above hold wide instructions outside the namespaces of instruction sets"
echo "$wide objects read"
exit $status
