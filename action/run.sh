#!/usr/bin/env bash
# Measures, writes tinyrig.json and tinyrig.xml into $FOLDER and the job's summary, and leaves the exit code to a later step: what was
# found is said first.
set -euo pipefail
code=0
rm -f "$FOLDER/tinyrig.json" "$FOLDER/tinyrig.xml"
# Words, not a script: nothing of the arguments is expanded, and quotes group as in a shell.
mapfile -t words < <(python -c 'import os, shlex; print("\n".join(shlex.split(os.environ["ARGUMENTS"])))')
[[ ${#words[@]} -eq 1 && -z ${words[0]} ]] && words=()
tinyrig run "${words[@]}" --json "$FOLDER/tinyrig.json" --junit "$FOLDER/tinyrig.xml" || code=$?
echo "code=$code" >>"$GITHUB_OUTPUT"
[[ -s "$FOLDER/tinyrig.json" ]] || exit 0
echo "json=$FOLDER/tinyrig.json" >>"$GITHUB_OUTPUT"
echo "junit=$FOLDER/tinyrig.xml" >>"$GITHUB_OUTPUT"
base=()
[[ -s "$FOLDER/tinyrig-base/tinyrig.json" ]] && base=(--base "$FOLDER/tinyrig-base/tinyrig.json")
python -P -m tinyrig.reports.changes "$FOLDER/tinyrig.json" "${base[@]}" --always >>"$GITHUB_STEP_SUMMARY"
python -P -m tinyrig.reports.changes "$FOLDER/tinyrig.json" "${base[@]}" >"$FOLDER/tinyrig-comment.md"
