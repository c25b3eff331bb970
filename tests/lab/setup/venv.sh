#!/usr/bin/env bash
# Makes or refreshes a virtual environment from hash-pinned requirement files; a blink when nothing changed.
# Usage: venv.sh FOLDER PYTHON REQUIREMENTS... [-- SOURCE_FOLDER...]   (source folders become importable, as an editable install would)
set -euo pipefail

folder=$1 python=$2
shift 2
requirements=() sources=()
while (($#)) && [[ $1 != -- ]]; do requirements+=("$1"); shift; done
(($#)) && shift
for source in "$@"; do sources+=("$PWD/$source"); done

stamp=$folder/inputs.sha256
sum=$({ echo "$python" "${sources[@]}"; "$python" --version; sha256sum "${requirements[@]}"; } | sha256sum)
[[ -f $stamp && $(<"$stamp") == "$sum" ]] && exit 0

echo "==> virtual environment $folder (${requirements[*]})"
rm -rf "$folder"
"$python" -m venv "$folder"
said=$folder/pip.log
packages=$(grep --no-filename --only-matching '^[a-zA-Z][^ ]*==[^ ]*' "${requirements[@]}" | sort -u | wc -l)
"$folder/bin/python" -m pip --disable-pip-version-check install --no-deps --require-hashes "${requirements[@]/#/--requirement=}" 2>&1 |
  tee "$said" | sed --unbuffered --quiet '/^Collecting /p' | "$(dirname "$0")/progress.sh" "$packages" "packages fetched" || { tail -n 15 "$said" >&2; exit 1; }
printf '%s\n' "${sources[@]}" >"$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/sources.pth"
echo "$sum" >"$stamp"
