#!/usr/bin/env bash
# How far the target recipe carries: fits.sh. It and the fitted sensor on made scenes of other seeds,
# numbers, sizes and bits than those of controlled.sh, beside the truth. What is finished stays, so an
# interrupted study goes on by the same command; the differences are in
# results/fits/SCENES/truth/report.html.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
export RESUME=1
unset NAME_PREFIX

# study GAP SEED IMAGES TRUE_SCENES SIDE BITS
study() (
    local name="$1_seed$2_$3x$5_$6bit" sets=()
    export DATASETS="$root/datasets/fits/$name" CHECKPOINTS="$root/checkpoints/fits/$name"
    export RESULTS="$root/results/fits/$name"
    source "$root/scripts/common.sh"
    local images="$DATASETS/images"
    [ -e "$images/demo.json" ] || rm -rf "$images" # left by an interrupted run
    "$PYTHON" "$ROOT/datasets/make_demo.py" --out "$images" --gap "$1" --seed "$2" --num_train "$3" \
        --num_test "$4" --size "$5" --bits "$6"
    "$PYTHON" "$ROOT/datasets/make_unpaired.py" --real "$images/real" --sim "$images/sim" --out "$DATASETS"
    for fit in sensor_fit target_fit; do
        "$ROOT/scripts/run_$fit.sh"
        translate "mwir_$fit" --dataroot "$images" --phase truth --dataset_mode aligned --num_test all
        sets+=(--set "$fit" "$RESULTS/mwir_$fit/truth_latest")
    done
    "$PYTHON" "$ROOT/evaluate.py" --real "$images/truth/B" "${sets[@]}" --boxes "$images/labels.csv" \
        --report "$RESULTS/truth" --against sensor_fit
)

for gap in mild hard; do
    study "$gap" 2 240 80 128 8
    study "$gap" 3 240 80 128 8
    study "$gap" 1 240 80 128 16
    study "$gap" 0 80 40 64 8
done
