#!/usr/bin/env bash
# One comment a pull request, updated in place; none where nothing has changed yet. A token that may not write (that of a pull
# request from a fork) costs the comment and nothing else.
set -euo pipefail
marker='<!-- tinyrig -->'
text="$FOLDER/tinyrig-comment.md"
mine=".[] | select(.body | startswith(\"$marker\")) | .id"
found=$(gh api --paginate "repos/$REPOSITORY/issues/$NUMBER/comments" --jq "$mine" | head -n 1) || found=""
if [[ ! -s $text ]]; then
    [[ -n $found ]] || exit 0
    printf '%s\n### tinyrig: nothing changed\n\nWhat was said here before is no longer so.\n' "$marker" >"$text"
fi
if [[ -n $found ]]; then
    gh api --method PATCH "repos/$REPOSITORY/issues/comments/$found" --field "body=@$text" --silent && exit 0
else
    gh api --method POST "repos/$REPOSITORY/issues/$NUMBER/comments" --field "body=@$text" --silent && exit 0
fi
echo "::notice::tinyrig could not comment: the workflow needs 'permissions: pull-requests: write'; the summary has the table"
