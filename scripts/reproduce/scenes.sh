# shellcheck shell=bash
# Sourced by the studies on made scenes that both the simulator and the sensor show: the scenes, who
# judges their translations, and the table beside the truth. Everything lies below controlled/GAP.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
export RESUME=1
unset NAME_PREFIX

# scenes mild|hard: 240 images a domain to train on, 200 scenes of 25 other recordings whose truth is
# known, 128x128 pixels, 8 bits; and a classifier of chips, trained on sensor frames of 600 scenes more
scenes() {
    export DATASETS="$ROOT/datasets/controlled/$1" CHECKPOINTS="$ROOT/checkpoints/controlled/$1"
    export RESULTS="$ROOT/results/controlled/$1"
    source "$ROOT/scripts/common.sh"
    images="$DATASETS/images" judges="$DATASETS/judge"
    make_scenes "$images" "$1" --num_train 240 --num_test 200 --seed 1
    make_scenes "$judges" "$1" --num_train 600 --num_test 8 --seed 9
    train chips --model classifier --netC efficientnet_lite0 --dataroot "$judges/real" --n_epochs 8 \
        --n_epochs_decay 8 --val_freq 16 --print_freq 480
    sets=(--set simulator "$images/truth/A" "$images/truth/B")
}

# first_seed GAP: the runs of controlled.sh of seed 1, which others begin at
first_seed() {
    [ -e "$ROOT/checkpoints/controlled/$1/s1_pix2pix_on_fit/finished" ] ||
        SEEDS=1 "$ROOT/scripts/reproduce/controlled.sh" "$1"
}

# make_scenes FOLDER GAP FLAGS...
make_scenes() {
    [ -e "$1/demo.json" ] || rm -rf "$1" # left by an interrupted run
    "$PYTHON" "$ROOT/datasets/make_demo.py" --out "$1" --gap "$2" --size 128 "${@:3}"
}

# truth NAME ROW: translate the scenes whose truth is known, for a row of the table
truth() {
    translate "$1" --dataroot "$images" --phase truth --dataset_mode aligned --num_test all
    sets+=(--set "$2" "$RESULTS/$1/truth_latest")
}

# compare NAME FLAGS...: the table of all rows, results/controlled/GAP/NAME/report.html
compare() {
    "$PYTHON" "$ROOT/evaluate.py" --real "$images/truth/B" "${sets[@]}" --boxes "$images/labels.csv" \
        --chip_classifier "$CHECKPOINTS/chips/latest_net_classifier.pth" \
        --training "$images/real/train" --report "$RESULTS/$1" "${@:2}"
}
