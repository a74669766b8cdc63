#!/usr/bin/env bash
# What this machine has and lacks for the project, a line each, with what to do. Flags are passed through.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
"$PYTHON" "$ROOT/doctor.py" --checkpoints_dir "$CHECKPOINTS" --results_dir "$RESULTS" "$@"
