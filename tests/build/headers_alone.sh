#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# headers_alone.sh "<header> <header>..." <compiler> <option>...: each header is a unit of its own.
headers=$1
shift
status=0
for header in $headers; do
    # Included twice: the second time must add nothing.
    printf '#include <%s>\n#include <%s>\n' "$header" "$header" | "$@" -fsyntax-only -x c++ - || {
        echo "$header does not compile alone"
        status=1
    }
done
exit $status
