# shellcheck shell=bash
# Sourced by the other scripts: where things are, and how a stage is run.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
DATASETS="${DATASETS:-$ROOT/datasets}"
CHECKPOINTS="${CHECKPOINTS:-$ROOT/checkpoints}"
RESULTS="${RESULTS:-$ROOT/results}"
mwir="${NAME_PREFIX:-}mwir" # how the names of all runs and datasets begin
PYTHON="${PYTHON:-$ROOT/.venv/bin/python}"

if [ ! -x "$(command -v "$PYTHON")" ]; then
    echo "error: there is no $PYTHON; run $ROOT/scripts/setup.sh first, or set PYTHON." >&2
    exit 2
fi

# SLURM signals every process of a job: the program at work saves and leaves, and then so does the
# script, with train.py's code for "go on with me later".
trap 'exit 75' TERM

# With RESUME set, what is finished is left as it is and what was interrupted goes on; what is of
# other data, flags or inputs is refused.

# train NAME FLAGS...
train() {
    "$PYTHON" "$ROOT/train.py" --name "$1" --checkpoints_dir "$CHECKPOINTS" "${@:2}" \
        ${RESUME:+--resume}
}

# translate NAME FLAGS...
translate() {
    "$PYTHON" "$ROOT/test.py" --name "$1" --checkpoints_dir "$CHECKPOINTS" \
        --results_dir "$RESULTS" "${@:2}" ${RESUME:+--resume}
}

# train_and_translate NAME FLAGS...
train_and_translate() {
    train "$@"
    translate "$@"
}
