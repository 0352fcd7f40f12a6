#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# compile_fail.sh <source> <compiler> <option>...: the file must be refused, with every word of its "// expect:" lines,
# in at most 10 lines of diagnostics. Echoes of the source are switched off: they neither count nor satisfy a word.
source=$1
shift
case $("$1" --version) in
    *clang*) quiet=-fno-caret-diagnostics ;;
    *) quiet=-fno-diagnostics-show-caret ;;
esac
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if "$@" "$quiet" -fsyntax-only "$source" >"$log" 2>&1; then
    echo "$source compiles, which it must not"
    exit 1
fi
status=0
sed -n 's|^// expect: *||p' "$source" >"$log.expected"
trap 'rm -f "$log" "$log.expected"' EXIT
[ -s "$log.expected" ] || { echo "$source has no '// expect:' line"; status=1; }
while IFS= read -r word; do
    grep -qF -- "$word" "$log" || { echo "not in the diagnostics: $word"; status=1; }
done <"$log.expected"
lines=$(grep -vcE '^[0-9]+ (errors?|warnings?)|^$' "$log")
[ "$lines" -le 10 ] || { echo "$lines lines of diagnostics, at most 10 are allowed"; status=1; }
[ $status -eq 0 ] || cat "$log"
exit $status
