#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Renders a report in headless Chromium and measures what a reader would see.
#   sh tests/report/render.sh REPORT.html SCREENSHOT.png [TABLES [FIGURES]]
# Checks that it holds exactly so many tables (2) and figures (5), all with an id of their own; that every cell has
# text and a size; that every figure has a size and shows something (an image that decodes, or a drawn line or dot);
# that nothing sticks out of the page, at a desktop's and at a telephone's width; and that nothing is fetched.
# Exit code: 0 all found, 1 something missing (each said), 77 no Chromium on this machine.
set -eu

report=${1:?usage: render.sh REPORT.html SCREENSHOT.png [TABLES [FIGURES]]}
screenshot=${2:?usage: render.sh REPORT.html SCREENSHOT.png [TABLES [FIGURES]]}
tables=${3:-2}
figures=${4:-5}

browser=
for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome chrome; do
    if [ -n "$name" ] && command -v "$name" > /dev/null 2>&1; then browser=$name; break; fi
done
if [ -z "$browser" ]; then
    echo "SKIPPED: no Chromium found (Debian: apt-get install chromium)"
    exit 77
fi
if [ ! -s "$report" ]; then
    echo "$report: expected a report, found no file or an empty one; write it first" >&2
    exit 1
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat "$report" > "$folder/page.html"
cat >> "$folder/page.html" << 'SCRIPT'
<script>
addEventListener("load", () => {
  const lines = [], bad = (what) => lines.push("BAD " + what);
  const seen = (e) => { const r = e.getBoundingClientRect(); return r.width > 0 && r.height > 0; };
  const list = (s, e = document) => [...e.querySelectorAll(s)];
  for (const table of list("table")) {
    const cells = list("tbody td, tbody th", table), heads = list("thead th", table);
    if (!/^table-./.test(table.id)) bad("a table without an id");
    if (!seen(table) || cells.length === 0 || heads.length === 0) bad(table.id + ": nothing to see");
    for (const cell of [...cells, ...heads])
      if (!cell.textContent.trim() || !seen(cell)) bad(table.id + ": an empty cell");
    const widths = new Set(list("tbody tr", table).map((row) => row.cells.length));
    if (widths.size !== 1) bad(table.id + ": rows of different lengths");
    lines.push("TABLE " + table.id + " " + cells.length + " cells");
  }
  for (const figure of list("figure")) {
    const images = list("img", figure), marks = list("svg .line, svg .dots", figure);
    if (!/^figure-./.test(figure.id)) bad("a figure without an id");
    if (!seen(figure)) bad(figure.id + ": no size");
    if (images.length + marks.length === 0) bad(figure.id + ": nothing drawn");
    for (const i of images) if (!seen(i) || !i.complete || !i.naturalWidth) bad(figure.id + ": an image that does not decode");
    for (const m of marks) { const b = m.getBBox(); if (!(b.width > 0 && m.getTotalLength() >= 0)) bad(figure.id + ": an empty line"); }
    for (const s of list("svg", figure)) if (!seen(s)) bad(figure.id + ": a drawing without size");
    lines.push("FIGURE " + figure.id + " " + images.length + " images " + marks.length + " lines");
  }
  const ids = list("[id]").map((e) => e.id);
  if (new Set(ids).size !== ids.length) bad("an id twice");
  if (document.documentElement.scrollWidth > innerWidth) bad("the page is wider than the window of " + innerWidth);
  for (const r of performance.getEntriesByType("resource")) if (!r.name.startsWith("data:")) bad("fetched " + r.name);
  const out = document.createElement("pre");
  out.textContent = "\nMEASURED\n" + lines.join("\n") + "\nEND\n";
  document.body.append(out);
});
</script>
SCRIPT

# $1: output; the rest: options. The sandbox needs rights that containers do not give; the page is our own.
chromium_run() {
    output=$1
    shift
    "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --no-first-run --disable-dev-shm-usage \
        --user-data-dir="$folder/profile" "$@" > "$output" 2> "$folder/log" || {
        tail -n 5 "$folder/log" >&2
        echo "$browser: expected exit code 0, found another; run it by hand on $report" >&2
        exit 1
    }
}

failed=0
for width in 1200 500; do
    chromium_run "$folder/dom" --window-size=$width,2000 --virtual-time-budget=5000 --dump-dom "file://$folder/page.html"
    sed -n '/^MEASURED$/,/^END$/p' "$folder/dom" > "$folder/measured"
    if [ ! -s "$folder/measured" ]; then
        echo "$report: expected measurements at width $width, found none; the page did not load" >&2
        exit 1
    fi
    if grep '^BAD ' "$folder/measured" >&2; then failed=1; fi
    for kind in "TABLE $tables" "FIGURE $figures"; do
        found=$(grep -c "^${kind% *} " "$folder/measured" || true)
        if [ "$found" != "${kind#* }" ]; then
            echo "$report: expected ${kind#* } of ${kind% *}, found $found" >&2
            failed=1
        fi
    done
    if [ $width = 1200 ]; then grep -E '^(TABLE|FIGURE) ' "$folder/measured"; fi
done

chromium_run "$folder/ignored" --screenshot="$screenshot" --window-size=1200,6000 "file://$(cd "$(dirname "$report")" && pwd)/$(basename "$report")"
if [ ! -s "$screenshot" ]; then
    echo "$screenshot: expected a picture, found none; check the folder" >&2
    failed=1
else
    echo "screenshot: $screenshot"
fi
exit $failed
