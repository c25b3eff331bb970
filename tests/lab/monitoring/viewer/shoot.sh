#!/usr/bin/env bash
# Draws the dashboards from what Prometheus answered, and takes their pictures.
# Needs Chromium, the Inter font, and Node.js 20 with npm.
# Usage: shoot.sh DASHBOARDS_FOLDER ANSWERS_FILE PICTURES_FOLDER
set -euo pipefail

dashboards=$(realpath "$1") answers=$(realpath "$2")
mkdir -p "$3"
pictures=$(realpath "$3")

cd "$(dirname "$0")"
[[ node_modules/.package-lock.json -nt package-lock.json ]] || npm ci --silent
npm run --silent check
node shoot.mjs "$dashboards" "$answers" "$pictures"
