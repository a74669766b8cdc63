# shellcheck shell=bash
# Sourced by the other scripts: where things are, and how a stage is run.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
DATASETS="${DATASETS:-$ROOT/datasets}"
CHECKPOINTS="${CHECKPOINTS:-$ROOT/checkpoints}"
RESULTS="${RESULTS:-$ROOT/results}"
PYTHON="${PYTHON:-$ROOT/.venv/bin/python}"

if [ ! -x "$(command -v "$PYTHON")" ]; then
    echo "error: there is no $PYTHON; run $ROOT/scripts/setup.sh first, or set PYTHON." >&2
    exit 2
fi

# train NAME FLAGS...
train() {
    "$PYTHON" "$ROOT/train.py" --name "$1" --checkpoints_dir "$CHECKPOINTS" "${@:2}"
}

# translate NAME FLAGS...
translate() {
    "$PYTHON" "$ROOT/test.py" --name "$1" --checkpoints_dir "$CHECKPOINTS" \
        --results_dir "$RESULTS" "${@:2}"
}
