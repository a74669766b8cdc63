#!/usr/bin/env bash
# Make .venv in the project's root with everything in it; once made, this takes seconds.
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
VENV="$ROOT/.venv"
BASE_PYTHON="${BASE_PYTHON:-python3}"

if ! "$BASE_PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "error: $BASE_PYTHON is older than Python 3.11; name a newer one with BASE_PYTHON." >&2
    exit 2
fi

wanted="$(cat "$ROOT"/requirements{,-dev,-visdom,-floors}.txt)"
if [ "$(cat "$VENV/installed.txt" 2>/dev/null)" = "$wanted" ]; then
    echo "$VENV is up to date"
    exit 0
fi

[ -x "$VENV/bin/python" ] || "$BASE_PYTHON" -m venv "$VENV"
pip() { "$VENV/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }
pip install "setuptools>=78.1.1,<81" wheel # for visdom
pip install --no-build-isolation -c "$ROOT/requirements-floors.txt" \
    -r "$ROOT/requirements.txt" -r "$ROOT/requirements-dev.txt" -r "$ROOT/requirements-visdom.txt"
printf '%s\n' "$wanted" > "$VENV/installed.txt"
echo "$VENV is ready"
