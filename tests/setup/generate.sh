#!/usr/bin/env bash
# Writes the checked-in files that are made from code. Usage: generate.sh DEV_VENV BIN
set -euo pipefail

python=$PWD/$1/bin/python bin=$2

crd=crds/bertfinetunes.bertfinetune.dev.yaml
"$python" -m bertfinetune_operator.crd >"$crd.new"
mv "$crd.new" "$crd"
cp "$crd" charts/bertfinetune-operator/files/

"$python" -m bertfinetune_operator.metrics_table >operator/docs/metrics.md.new
mv operator/docs/metrics.md.new operator/docs/metrics.md

"$python" -m bertfinetune_operator.api_table crds/samples >operator/docs/api.md.new
mv operator/docs/api.md.new operator/docs/api.md

"$bin/helm-docs" --chart-search-root=charts --sort-values-order=file --log-level=warning

"$python" -m bertfinetune_dashboards charts/bertfinetune-operator/files/dashboards

cd tests/ascend_sim/device_plugin
"$python" -m grpc_tools.protoc -I . --python_out=. --pyi_out=. --grpc_python_out=. ascend_device_plugin/deviceplugin.proto

cd ../..
"$python" -m grpc_tools.protoc -I . --python_out=. --pyi_out=. --grpc_python_out=. ascend_sim/npu_exporter/podresources.proto
