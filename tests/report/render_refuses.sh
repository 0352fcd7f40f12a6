#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The render check must fail on a damaged report.  sh tests/report/render_refuses.sh REPORT.html
# REPORT must pass the check itself. Exit code 77 when no Chromium is found.
set -eu

report=${1:?usage: render_refuses.sh REPORT.html}
render=$(dirname "$0")/render.sh
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

sh "$render" "$report" "$folder/whole.png" || exit $?
passed=0
damage() {  # $1: what; $2: a sed program that does it
    sed "$2" "$report" > "$folder/damaged.html"
    if cmp -s "$report" "$folder/damaged.html"; then
        echo "damage '$1': expected a change, found none; the page has another form now" >&2
        exit 1
    fi
    if sh "$render" "$folder/damaged.html" "$folder/damaged.png" > "$folder/log" 2>&1; then
        echo "damage '$1': expected the check to fail, found it passing" >&2
        exit 1
    fi
    passed=$((passed + 1))
}
damage "an empty cell" 's|<td class="narrow">[^<]*</td>|<td class="narrow"></td>|'
damage "a figure that is not shown" 's|<figure class="card" id="figure-map"|<figure hidden class="card" id="figure-map"|'
damage "images that do not decode" 's|base64,iVBOR|base64,iVBOS|'
damage "a table less" 's|<table id=|<div id=|; s|</table>|</div>|'
damage "a drawing without lines" 's|<path class="dots[^>]*>|<path>|g'
damage "too wide a page" 's|<main>|<main style="width:3000px;max-width:none">|'
echo "$passed passed, 0 failed"
