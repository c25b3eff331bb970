#!/usr/bin/env bash
# Builds the CPU kernels with g++ for the TensorFlow of a Python, into a folder on its path.
# Usage: build.sh PYTHON [FOLDER]   (default: that Python's site-packages)
set -euo pipefail

python=$1
source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/bert_kernels.cc
folder=${2:-$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')}
library=$folder/bert_kernels.so
[[ $library -nt $source && $library -nt $0 ]] && exit 0

echo "==> CPU kernels $library"
read -ra flags < <("$python" -W ignore -c \
  'import tensorflow as tf; print(*tf.sysconfig.get_compile_flags(), *tf.sysconfig.get_link_flags())' 2>/dev/null)
# AVX2 and FMA: on every server since 2013. Hidden symbols: TensorFlow holds Eigen's functions, compiled otherwise, under the same names.
g++ -std=c++11 -shared -fPIC -O3 -mavx2 -mfma -fno-math-errno -fno-trapping-math -fvisibility=hidden -w "$source" -o "$library.tmp" "${flags[@]}"
mv "$library.tmp" "$library"
