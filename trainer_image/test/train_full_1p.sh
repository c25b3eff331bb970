#!/usr/bin/env bash
# Fine-tunes on one card (or on the CPU where there is none) and prints the result.
#   source env.sh; bash train_full_1p.sh --data_path=DIR --model_path=DIR [--FLAG=VALUE ...]
# The last four lines of the output are the result; the exit code is the trainer's (python -m bert_trainer --help lists its flags).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=${PYTHON:-python3.7}
export PYTHONPATH=$here/../src${PYTHONPATH:+:$PYTHONPATH}

output_dir=$here/output/$(date +%Y%m%d-%H%M%S)-$$
device=cpu
if "$python" -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("npu_bridge") is None)'; then device=npu; fi

# A flag given by the user stands last, and the last one counts.
exec "$python" -m bert_trainer --task_name=MRPC --device="$device" --output_dir="$output_dir" "$@"
