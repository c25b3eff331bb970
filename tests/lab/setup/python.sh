#!/usr/bin/env bash
# Prints the path of a CPython interpreter. Usage: python.sh 3.7 CACHE  |  python.sh 3.11 CACHE
# 3.7: $PYTHON37, PATH, pyenv, else `uv python install`. 3.11 means 3.11 or newer, which Debian 12 has.
set -euo pipefail

wanted=$1 cache=$2

works() { "$1" -c "import ssl, ctypes, sys; sys.exit(not (sys.version_info[:2] $3 ($2)))" 2>/dev/null; }

first_working() { # first_working MINOR OPERATOR CANDIDATE...
  local minor=$1 operator=$2 candidate
  shift 2
  for candidate in "$@"; do
    candidate=$(command -v "$candidate" 2>/dev/null) || continue
    # the real path, not a shim: the image is built from this interpreter's prefix
    works "$candidate" "3, $minor" "$operator" && { "$candidate" -c 'import sys; print(sys.executable)'; return; }
  done
  return 1
}

case $wanted in
  3.11)
    first_working 11 '>=' python3.13 python3.12 python3.11 python3 && exit
    echo "error: no CPython 3.11 or newer found: apt-get install python3 python3-venv (Debian 12)" >&2
    exit 1
    ;;
  3.7)
    if [[ -n ${PYTHON37:-} ]]; then
      first_working 7 '==' "$PYTHON37" && exit
      echo "error: PYTHON37=$PYTHON37 is not a working CPython 3.7" >&2
      exit 1
    fi
    shopt -s nullglob
    first_working 7 '==' python3.7 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.7.*/bin/python3.7 "$cache"/python/cpython-3.7*/bin/python3.7 && exit
    echo "==> installing CPython 3.7 (uv python install)" >&2
    [[ -x $cache/uv/bin/uv ]] || { python3 -m venv "$cache/uv" && "$cache/uv/bin/pip" install --quiet uv==0.13.9; } >&2
    UV_PYTHON_INSTALL_DIR=$cache/python "$cache/uv/bin/uv" python install --no-bin 3.7 >&2 || {
      echo "error: no CPython 3.7 could be had; build one (pyenv install 3.7.16) and set PYTHON37=/path/to/python3.7" >&2
      exit 1
    }
    first_working 7 '==' "$cache"/python/cpython-3.7*/bin/python3.7
    ;;
esac
