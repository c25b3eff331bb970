#!/usr/bin/env bash
# Draws the dashboards from what Prometheus answered, and takes their pictures.
# Needs Chromium, the Inter font, and Node.js 20 with npm.
# Usage: shoot.sh DASHBOARDS_FOLDER ANSWERS_FILE PICTURES_FOLDER
set -euo pipefail

dashboards=$(realpath "$1") answers=$(realpath "$2") pictures=$(realpath "$3")

cd "$(dirname "$0")"
# Nothing is fetched before the sum over the hashes of all packages is compared; their scripts never run.
if [[ ! node_modules/.package-lock.json -nt package.json || ! node_modules/.package-lock.json -nt packages.sha256 ]]; then
  rm -rf node_modules package-lock.json
  npm install --package-lock-only
  sum=$(grep '"integrity"' package-lock.json | LC_ALL=C sort | sha256sum)
  [[ $sum == "$(<packages.sha256)" ]] ||
    { echo "npm finds other packages than before; if they are meant, write this into packages.sha256: $sum" >&2; exit 1; }
  npm ci
fi
node shoot.mjs "$dashboards" "$answers" "$pictures"
