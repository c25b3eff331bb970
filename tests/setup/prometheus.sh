#!/usr/bin/env bash
# Takes prometheus and promtool out of Debian's package and links them into BIN: the package itself would start a service.
# Usage: prometheus.sh CACHE BIN
set -euo pipefail

folder=$1/prometheus bin=$2
if [[ ! -x $folder/usr/bin/prometheus ]]; then
  echo "==> taking prometheus and promtool from Debian's package"
  rm -rf "$folder" "$folder.part"
  mkdir -p "$folder.part"
  apt-get update --quiet=2
  (cd "$folder.part" && apt-get download --quiet=2 --option=APT::Sandbox::User=root prometheus && dpkg-deb --extract prometheus_*.deb . && rm prometheus_*.deb)
  mv "$folder.part" "$folder"
fi
mkdir -p "$bin"
ln -sf "$folder/usr/bin/prometheus" "$folder/usr/bin/promtool" "$bin/"
