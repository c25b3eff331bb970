#!/usr/bin/env bash
# Takes programs out of a Debian package and links them into BIN: the package itself would start a service.
# Usage: debian-programs.sh CACHE BIN PACKAGE PROGRAM...   (a program as the package names it, such as usr/bin/promtool)
set -euo pipefail

cache=$1 bin=$2 package=$3
shift 3
folder=$cache/$package
if [[ ! -x $folder/$1 ]]; then
  echo "==> taking $* from Debian's package $package"
  rm -rf "$folder" "$folder.part"
  mkdir -p "$folder.part"
  apt-get update --quiet=2
  (cd "$folder.part" && apt-get download --quiet=2 --option=APT::Sandbox::User=root "$package" && dpkg-deb --extract "${package}"_*.deb . && rm "${package}"_*.deb)
  mv "$folder.part" "$folder"
fi
mkdir -p "$bin"
ln -sf "${@/#/$folder/}" "$bin/"
