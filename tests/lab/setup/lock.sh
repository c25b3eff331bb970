#!/usr/bin/env bash
# Recompiles every requirement file from its .in, with hashes and without a word about where packages come from. Usage: lock.sh CACHE
set -euo pipefail

uv=$1/uv/bin/uv
[[ -x $uv ]] || { python3 -m venv "$1/uv" && "$1/uv/bin/pip" install --quiet uv==0.13.9; }

compile() { # compile FOLDER/NAME.in UV_OPTION...
  local source=$1
  shift
  echo "==> ${source%.in}.txt"
  "$uv" pip compile --quiet --generate-hashes --no-emit-index-url --no-header "$@" "$source" -o "${source%.in}.txt"
}

compile operator/requirements.in --universal --python-version 3.11
compile tests/lab/ascend/device_plugin/requirements.in --universal --python-version 3.11
compile tests/requirements.in --universal --python-version 3.11 \
  -c operator/requirements.txt -c tests/lab/ascend/device_plugin/requirements.txt
compile tests/lab/bench/pytorch/requirements.in --python-version 3.11 --python-platform x86_64-manylinux_2_28
compile tests/lab/monitoring/viewer/requirements.in --universal --python-version 3.11
compile trainer_image/requirements-pip.in --python-version 3.7
compile trainer_image/requirements.in --universal --python-version 3.7
compile trainer_image/requirements-tensorflow.in --python-version 3.7 --python-platform x86_64-manylinux2014 -c trainer_image/requirements.txt
compile tests/lab/trainer/requirements.in --python-version 3.7 --python-platform x86_64-manylinux2014 \
  -c trainer_image/requirements-tensorflow.txt -c trainer_image/requirements.txt
