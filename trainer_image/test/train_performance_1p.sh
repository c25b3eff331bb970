#!/usr/bin/env bash
# One epoch instead of three, to measure the speed; everything else is train_full_1p.sh's.
exec bash "$(dirname "${BASH_SOURCE[0]}")/train_full_1p.sh" --num_train_epochs=1.0 "$@"
