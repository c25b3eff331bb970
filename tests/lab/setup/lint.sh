#!/usr/bin/env bash
# Every linter, two at a time and one line each, all of them run even if one fails. Usage: lint.sh DEV_VENV TRAINER_VENV RESULTS
set -uo pipefail

dev=$1 trainer=$2 results=$3
failed=$(mktemp)
trap 'rm -f "$failed"' EXIT

run() { # run NAME COMMAND...
  while (($(jobs -pr | wc -l) > 1)); do sleep 0.05; done
  report "$@" &
}

report() {
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then
    echo "lint: $name ok"
  else
    printf 'lint: %s FAILED\n%s\n' "$name" "$output"
    echo "$name" >>"$failed"
  fi
}

generated_files_are_current() {
  local before after
  sums() { find crds charts/*/files operator/docs trainer_image/docs tests/lab/ascend -type f -not -name '*.pyc' -exec sha256sum {} + | sort; }
  before=$(sums)
  tests/lab/setup/generate.sh "$dev" && after=$(sums)
  [[ $before == "$after" ]] || { echo "generated files were stale; they are regenerated now: commit them"; return 1; }
}

run "ruff check" "$dev/bin/ruff" check .
run "ruff format" "$dev/bin/ruff" format --check .
run "clang-format" "$dev/bin/clang-format" --dry-run --Werror trainer_image/kernels/*.cc
run "mypy (operator)" "$dev/bin/mypy" --config-file operator/pyproject.toml operator/src
run "mypy (dashboards)" env MYPYPATH=operator/dashboards "$dev/bin/mypy" --config-file operator/pyproject.toml operator/dashboards
run "mypy (generators)" env MYPYPATH=operator/generators "$dev/bin/mypy" --config-file operator/pyproject.toml operator/generators
run "mypy (preflight)" env MYPYPATH=operator/preflight "$dev/bin/mypy" --config-file operator/pyproject.toml operator/preflight
run "ty (tests, 3.11)" "$dev/bin/ty" check --python "$dev" --python-version 3.11 --extra-search-path tests --exclude tests/lab/bench/trainer --exclude tests/lab/trainer --exclude tests/lab/ascend/npu_bridge_sim --exclude tests/release/trainer --exclude tests/support/trainer tests/api tests/lab tests/node tests/pages tests/release tests/support
run "ty (trainer, 3.7)" "$dev/bin/ty" check --python "$trainer" --python-version 3.7 --extra-search-path tests trainer_image/src tests/lab/bench/trainer tests/lab/trainer tests/support/trainer tests/release/trainer
run "import-linter (operator)" "$dev/bin/lint-imports" --config operator/pyproject.toml --no-cache
run "import-linter (trainer)" env PYTHONPATH=trainer_image/src "$dev/bin/lint-imports" --config trainer_image/pyproject.toml --no-cache
run "hadolint" "$dev/bin/hadolint" --config tests/lab/setup/hadolint.yaml operator/Dockerfile trainer_image/Dockerfile tests/lab/ascend/*/Dockerfile tests/lab/released/Dockerfile
# shellcheck disable=SC2046 # file names of this project hold no spaces
run "shellcheck" "$dev/bin/shellcheck" .ci/run $(git ls-files --cached --others --exclude-standard '*.sh')
run "yamllint" "$dev/bin/yamllint" --strict --config-file tests/lab/setup/yamllint.yaml crds charts/bertfinetune-operator/values.yaml charts/bertfinetune-operator/ci charts/bertfinetune-operator/tests charts/bertfinetune-operator/files/claims charts/bertfinetune-operator/files/prometheus charts/bertfinetune-operator/files/rules tests/api/monitoring/rules tests/lab/bench/operator/config tests/lab/cluster/config tests/lab/ascend/device_plugin tests/unit/operator/golden/scenes
run "generated files" generated_files_are_current

wait
mkdir -p "$results"
echo "$SECONDS" >"$results/lint.seconds" # for the table of durations
[[ ! -s $failed ]] || { echo "lint: failed: $(paste --serial --delimiters=, "$failed")"; exit 1; }
