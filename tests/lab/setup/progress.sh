#!/usr/bin/env bash
# Counts the lines that come in: a line that moves on a terminal, else one at every tenth. Usage: COMMAND | progress.sh TOTAL WHAT
set -euo pipefail

total=$1 what=$2 n=0
((total)) || total=1
while read -r _; do
  ((++n <= total)) || continue # what else was said
  if [[ -t 1 ]]; then
    printf '\r    %d of %d %s (%d%%)' "$n" "$total" "$what" $((100 * n / total))
  elif ((10 * n / total > 10 * (n - 1) / total)); then
    printf '    %d of %d %s (%d%%)\n' "$n" "$total" "$what" $((100 * n / total))
  fi
done
if [[ -t 1 ]] && ((n)); then echo; fi
