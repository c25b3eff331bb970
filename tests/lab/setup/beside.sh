#!/usr/bin/env bash
# Runs a command beside another one, which is seen meanwhile; then shows what the first has said, and waits for it.
# Usage: beside.sh LOG FIRST... -- OTHER...
set -euo pipefail

log=$1 first=()
shift
while [[ $1 != -- ]]; do first+=("$1"); shift; done
shift
mkdir -p "$(dirname "$log")"

set -m # a process group of its own, which can be ended with all it started
"${first[@]}" >"$log" 2>&1 &
pid=$!
set +m
trap 'kill -- -$pid 2>/dev/null || true' EXIT
"$@"
tail --lines=+1 --pid=$pid --follow "$log"
wait $pid
