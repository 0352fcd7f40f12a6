#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every row of docs/features.md names a target that exists: `path`, `path:"test case name"`, or `sh cmake/run ...`.
page=docs/features.md
[ -f "$page" ] || { echo "$page is missing"; exit 1; }
grep '^|' "$page" | grep -v '^| *promise *|' | grep -v '^|[-: |]*$' | {
    rows=0 status=0
    while IFS= read -r row; do
        rows=$((rows + 1))
        # The last cell; backticks around it are decoration.
        target=$(printf '%s\n' "$row" | sed 's/ *| *$//; s/.*| *//; s/`//g')
        case $target in
            'sh cmake/run '*)
                rest=${target#sh cmake/run }
                word=${rest%% *}
                grep -qE "^  $word  +[a-z]" cmake/run || { echo "'$target': cmake/run has no word $word ($row)"; status=1; }
                ;;
            *:\"*\")
                file=${target%%:\"*}
                name=${target#*:\"}
                name=${name%\"}
                if [ ! -f "$file" ]; then
                    echo "'$target': $file does not exist ($row)"
                    status=1
                elif ! grep -qF "\"$name\"" "$file"; then
                    echo "'$target': $file has no test case of that name ($row)"
                    status=1
                fi
                ;;
            '') echo "a row without a target: $row"; status=1 ;;
            *) [ -e "$target" ] || { echo "'$target' does not exist ($row)"; status=1; } ;;
        esac
    done
    [ $rows -gt 0 ] || { echo "$page has no row"; status=1; }
    echo "$rows rows read"
    exit $status
}
