#!/usr/bin/env bash
# Every linter, one line each, all of them run even if one fails. Usage: lint.sh DEV_VENV TRAINER_VENV BIN
set -uo pipefail

dev=$1 trainer=$2 bin=$3
failed=()

run() { # run NAME COMMAND...
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then
    echo "lint: $name ok"
  else
    printf 'lint: %s FAILED\n%s\n' "$name" "$output"
    failed+=("$name")
  fi
}

generated_files_are_current() {
  local before after
  sums() { find crds charts/*/README.md charts/*/files operator/docs trainer_image/docs tests/ascend_sim -type f -not -name '*.pyc' -exec sha256sum {} + | sort; }
  before=$(sums)
  tests/setup/generate.sh "$dev" "$bin" && after=$(sums)
  [[ $before == "$after" ]] || { echo "generated files were stale; they are regenerated now: commit them"; return 1; }
}

run "ruff check" "$dev/bin/ruff" check .
run "ruff format" "$dev/bin/ruff" format --check .
run "clang-format" "$dev/bin/clang-format" --dry-run --Werror trainer_image/kernels/*.cc
run "mypy (operator)" "$dev/bin/mypy" --config-file operator/pyproject.toml operator/src
run "mypy (dashboards)" env MYPYPATH=operator/dashboards "$dev/bin/mypy" --config-file operator/pyproject.toml operator/dashboards
run "ty (tests, 3.11)" "$dev/bin/ty" check --python "$dev" --python-version 3.11 --extra-search-path tests tests/bench_operator tests/bench_pytorch tests/chart tests/cluster tests/demo tests/docs tests/e2e tests/monitoring tests/release tests/ascend_sim/device_plugin tests/ascend_sim/npu_exporter
run "ty (trainer, 3.7)" "$dev/bin/ty" check --python "$trainer" --python-version 3.7 --extra-search-path tests trainer_image/src tests/bench
run "import-linter (operator)" "$dev/bin/lint-imports" --config operator/pyproject.toml --no-cache
run "import-linter (trainer)" env PYTHONPATH=trainer_image/src "$dev/bin/lint-imports" --config trainer_image/pyproject.toml --no-cache
run "hadolint" "$dev/bin/hadolint" --config tests/setup/hadolint.yaml operator/Dockerfile trainer_image/Dockerfile tests/ascend_sim/*/Dockerfile tests/chart/released/Dockerfile
# shellcheck disable=SC2046 # file names of this project hold no spaces
run "shellcheck" "$dev/bin/shellcheck" .ci/run $(git ls-files --cached --others --exclude-standard '*.sh')
run "yamllint" "$dev/bin/yamllint" --strict --config-file tests/setup/yamllint.yaml crds charts/bertfinetune-operator/values.yaml charts/bertfinetune-operator/ci charts/bertfinetune-operator/tests charts/bertfinetune-operator/files/prometheus charts/bertfinetune-operator/files/rules tests/monitoring/rules tests/bench_operator/config tests/cluster/config tests/ascend_sim/device_plugin
run "helm 3 lint" "$bin/helm" lint --strict --quiet charts/bertfinetune-operator
run "helm 4 lint" "$bin/helm4" lint --strict --quiet charts/bertfinetune-operator
run "generated files" generated_files_are_current

((${#failed[@]} == 0)) || { echo "lint: failed: ${failed[*]}"; exit 1; }
