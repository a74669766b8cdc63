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

# SLURM signals every process of a job: the program at work saves and leaves, and then so does the
# script, with train.py's code for "go on with me later".
trap 'exit 75' TERM

# train NAME FLAGS...: with RESUME set, a finished run is skipped and an interrupted one continued.
train() {
    local run="$CHECKPOINTS/$1" resume=()
    if [ -n "${RESUME:-}" ] && [ -e "$run/finished" ]; then
        echo "$run is finished: skipped"
        return
    fi
    if [ -n "${RESUME:-}" ] && { [ -e "$run/latest.pth" ] || [ -e "$run/previous.pth" ]; }; then
        resume=(--continue_train)
    fi
    "$PYTHON" "$ROOT/train.py" --name "$1" --checkpoints_dir "$CHECKPOINTS" "${@:2}" \
        ${resume[@]+"${resume[@]}"}
}

# translate NAME FLAGS...
translate() {
    "$PYTHON" "$ROOT/test.py" --name "$1" --checkpoints_dir "$CHECKPOINTS" \
        --results_dir "$RESULTS" "${@:2}"
}

# train_and_translate NAME FLAGS...: with RESUME set, results newer than the run are kept.
train_and_translate() {
    local results="$RESULTS/$1/test_latest"
    train "$@"
    if [ -n "${RESUME:-}" ] && [ "$results/result.json" -nt "$CHECKPOINTS/$1/finished" ]; then
        echo "$results is newer than $1: skipped"
    else
        translate "$@"
    fi
}
