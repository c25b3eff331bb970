#!/usr/bin/env bash
# Writes the checked-in files that are made from code. Usage: generate.sh DEV_VENV
set -euo pipefail

python=$PWD/$1/bin/python

crd=crds/bertfinetunes.bertfinetune.dev.yaml
"$python" -m bertfinetune_generators.crd >"$crd.new"
mv "$crd.new" "$crd"
cp "$crd" charts/bertfinetune-operator/files/

"$python" -m bertfinetune_generators.metrics_table >operator/docs/metrics.md.new
mv operator/docs/metrics.md.new operator/docs/metrics.md

"$python" -m bertfinetune_generators.api_table crds/samples >operator/docs/api.md.new
mv operator/docs/api.md.new operator/docs/api.md

PYTHONPATH=tests "$python" -m lab.bench.operator.page >operator/docs/performance.md.new
mv operator/docs/performance.md.new operator/docs/performance.md

"$python" -m bertfinetune_dashboards charts/bertfinetune-operator/files/dashboards

cd tests/lab/ascend/device_plugin
"$python" -m grpc_tools.protoc -I . --python_out=. --pyi_out=. --grpc_python_out=. ascend_device_plugin/deviceplugin.proto

cd ../../..
"$python" -m grpc_tools.protoc -I . --python_out=. --pyi_out=. --grpc_python_out=. lab/ascend/npu_exporter/podresources.proto
