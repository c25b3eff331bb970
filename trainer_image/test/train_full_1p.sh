#!/usr/bin/env bash
# Fine-tunes on one card (or on the CPU where there is none) and prints the result.
#   source env.sh; bash train_full_1p.sh --data_path=DIR --model_path=DIR [--FLAG=VALUE ...]
# The last four lines of the output are the result; the exit code is the trainer's (python -m bert_trainer --help lists its flags).
# --ckpt_path=DIR stands in front of a relative --model_path. Of the reference's switches for dumps, profiling and tuning, which
# had no effect or changed the CANN installation, only the values that leave them off are taken.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python3.7}
export PYTHONPATH=$here/../src${PYTHONPATH:+:$PYTHONPATH}

output_dir=$here/output/$(date +%Y%m%d-%H%M%S)-$$
device=cpu
if compgen -G "${DAVINCI:-/dev/davinci}[0-9]*" >/dev/null; then device=npu; fi # which says what is missing, where it is
if "$python" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("npu_bridge") is None)'; then device=npu; fi

flags=()
ckpt_path=
model_path=
for argument; do
  case $argument in
  --ckpt_path=*) ckpt_path=${argument#*=} ;;
  --model_path=*) model_path=${argument#*=} ;;
  --over_dump=False | --data_dump_flag=False | --data_dump_step=10 | --profiling=False | --autotune=False) ;;
  --over_dump* | --data_dump_flag* | --data_dump_step* | --profiling* | --autotune*)
    echo "$argument: not supported; leave it out, and use CANN's own tools for dumps, profiles and tuning" >&2
    exit 64
    ;;
  *) flags+=("$argument") ;;
  esac
done
[[ -z $ckpt_path || $model_path == /* ]] || model_path=$ckpt_path/$model_path

# A flag given by the user stands last, and the last one counts.
exec "$python" -m bert_trainer --task_name=MRPC --device="$device" --output_dir="$output_dir" --model_path="$model_path" "${flags[@]}"
