#!/usr/bin/env bash
# Set up, then run the test suite. Flags are passed through to pytest.
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
"$ROOT/scripts/setup.sh"
cd "$ROOT"
.venv/bin/python -m pytest "$@"
