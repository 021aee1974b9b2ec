#!/usr/bin/env bash
# What the action runs: inputs come as variables and are never put into a command line as text.
set -euo pipefail
analyze="${ANALYZE:-$RUNNER_TEMP/nanalyze/bin/analyze}"
mapfile -t paths < <(printf '%s\n' "$PATHS" | sed '/^[[:space:]]*$/d')
summary="${GITHUB_STEP_SUMMARY:-/dev/null}"
case "$COMMAND" in
  scan)
    args=(scan "${paths[@]}" --cache off --fail-on "$FAIL_ON")
    if [ -n "$SARIF" ]; then args+=(--sarif "$SARIF"); fi
    code=0
    table=$("$analyze" "${args[@]}") || code=$?
    printf '%s\n' "$table"
    printf '```text\n%s\n```\n' "$table" >>"$summary"
    exit "$code"
    ;;
  audit)
    code=0
    "$analyze" audit "${paths[@]}" --format markdown >>"$summary" || code=$?
    if [ -n "$SARIF" ]; then "$analyze" audit "${paths[@]}" --format sarif -o "$SARIF"; fi
    "$analyze" audit "${paths[@]}" --fail-on "$FAIL_ON"
    ;;
  *)
    echo "nanalyze: there is no command '$COMMAND': use scan or audit." >&2
    exit 2
    ;;
esac
