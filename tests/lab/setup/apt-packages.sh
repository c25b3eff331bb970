#!/usr/bin/env bash
# Installs the Debian packages that are missing, and only those. Usage: apt-packages.sh PACKAGE...
set -euo pipefail

missing=()
for package in "$@"; do
  [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0

command -v apt-get >/dev/null || { echo "error: apt-get not found; install by hand: ${missing[*]}" >&2; exit 1; }
(($(id -u) == 0)) || { echo "error: installing ${missing[*]} needs root; run this as root" >&2; exit 1; }
echo "==> apt-get install ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update --quiet=2
install() { apt-get install --quiet --yes --no-install-recommends "$@" "${missing[@]}"; }
packages=$(install --simulate | grep --count '^Inst ')
counted() { sed --unbuffered --quiet "/^$1/p" | "$(dirname "$0")/progress.sh" "$packages" "packages $2"; }
install --download-only | counted Get: fetched
install | counted 'Unpacking ' unpacked
