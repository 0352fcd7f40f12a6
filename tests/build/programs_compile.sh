#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# programs_compile.sh <folder> <compiler> <option>...: every program of a folder passes the compiler's front end; those
# whose libraries are not installed are named and left out.
folder=$1
shift
status=0
for program in "$folder"/*.cpp; do
    missing=
    for header in $(sed -n 's/^#include <\(\(dlib\|benchmark\)\/[^>]*\)>.*/\1/p' "$program"); do
        echo "#include <$header>" | "$@" -E -x c++ - >/dev/null 2>&1 || missing=$header
    done
    if [ -n "$missing" ]; then
        echo "$program is left out: $missing is not installed"
        continue
    fi
    "$@" -fsyntax-only "$program" || status=1
done
exit $status
