#!/usr/bin/env bash
# Writes the checked-in files that are made from code. Usage: generate.sh DEV_VENV
set -euo pipefail

crd=crds/bertfinetunes.bertfinetune.dev.yaml
"$1/bin/python" -m bertfinetune_operator.crd >"$crd.new"
mv "$crd.new" "$crd"
cp "$crd" charts/bertfinetune-operator/files/
