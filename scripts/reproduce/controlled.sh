#!/usr/bin/env bash
# Translations beside the truth, on made scenes that both the simulator and the sensor show:
# controlled.sh [mild|hard ...]. The published recipe, the target recipe and the fitted sensors, on
# 200 scenes of 25 recordings, 128x128 pixels. SEEDS ("1 2 3") are those of the training runs; the
# scenes are always the same. What is finished stays, so an interrupted study goes on by the same
# command; the table of each gap is results/controlled/GAP/truth.
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
small="--load_size 143 --crop_size 128 --print_freq 240"
export CUT_FLAGS="--netG resnet_4blocks --ngf 16 --ndf 16 --netF_nc 64 --num_patches 128 $small
    --lr 0.0004 --n_epochs 2 --n_epochs_decay 1"
export PIX2PIX_FLAGS="--netG unet_128 --ngf 16 --ndf 16 $small --n_epochs 3 --n_epochs_decay 3"
export CLASSIFIER_FLAGS="--load_size 128 --crop_size 128 --batch_size 16 --n_epochs 10 --n_epochs_decay 10"
export GRADCAM_FLAGS="--netG unet_128 --ngf 16 --ndf 16 $small
    --epoch_count 7 --n_epochs 6 --n_epochs_decay 2"

# study GAP: all runs of one kind of simulator
study() (
    export DATASETS="$ROOT/datasets/controlled/$1" CHECKPOINTS="$ROOT/checkpoints/controlled/$1"
    export RESULTS="$ROOT/results/controlled/$1" RESUME=1
    unset NAME_PREFIX
    source "$ROOT/scripts/common.sh"
    images="$DATASETS/images"
    [ -e "$images/demo.json" ] || rm -rf "$images" # left by an interrupted run
    "$PYTHON" "$ROOT/datasets/make_demo.py" --out "$images" --gap "$1" --num_train 240 \
        --num_test 200 --size 128 --seed 1
    for seed in ${SEEDS:-1 2 3}; do
        NAME_PREFIX="s${seed}_" "$ROOT/scripts/run_pipeline.sh" "$images" --seed "$seed"
        for stage in pix2pix pix2pix_gradcam; do
            truth "s${seed}_mwir_$stage" "$images"
        done
    done
)

# truth NAME IMAGES: translate the scenes whose truth is known
truth() {
    translate "$1" --dataroot "$2" --phase truth --dataset_mode aligned --num_test all
}

[ $# -gt 0 ] || set -- mild hard
for gap in "$@"; do
    study "$gap"
done
