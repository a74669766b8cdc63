#!/usr/bin/env bash
# Translations beside the truth, on made scenes that both the simulator and the sensor show:
# controlled.sh [mild|hard ...]. The fitted sensors, the published recipe and other designs, on 200
# scenes of 25 recordings, 128x128 pixels. SEEDS ("1 2 3") are those of the training runs; the scenes
# are always the same. What is finished stays, so an interrupted study goes on by the same command;
# the table of each gap is results/controlled/GAP/truth/report.html.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/scenes.sh"
scripts="$ROOT/scripts"
crops="--load_size 143 --crop_size 128 --print_freq 240"
cut="--netG resnet_4blocks --ngf 16 --ndf 16 --netF_nc 64 --num_patches 128 --lr 0.0004
    --n_epochs 2 --n_epochs_decay 1"
narrow="--ngf 16 --ndf 16 --n_epochs 3 --n_epochs_decay 3"
blind="--blind_target --box_patches 0.25"
reheat="--ngf 32 --ndf 16 --lr 0.001 --n_epochs 50 --n_epochs_decay 50 --print_freq 240"
export CUT_FLAGS="$cut $crops" PIX2PIX_FLAGS="--netG unet_128 $narrow $crops"
export CLASSIFIER_FLAGS="--load_size 128 --crop_size 128 --batch_size 16 --n_epochs 10 --n_epochs_decay 10"
export GRADCAM_FLAGS="--netG unet_128 --ngf 16 --ndf 16 $crops
    --epoch_count 7 --n_epochs 6 --n_epochs_decay 2"

# study GAP: all runs of one kind of simulator, and their table
study() (
    scenes "$1"
    unpaired fit_
    for fit in sensor_fit target_fit; do # nothing in them is random
        NAME_PREFIX=fit_ "$scripts/run_$fit.sh"
        truth "fit_mwir_$fit" "$fit"
    done
    true_vehicles fit_mwir_target_fit "target fit with the true vehicles"
    other_pairs "$1"
    for seed in ${SEEDS:-1 2 3}; do
        published "s${seed}_" "$seed"
        designs "s${seed}_" "$seed"
    done
    compare truth
)

# true_vehicles NAME ROW: what NAME makes of the scenes, with the truth in the vehicles' boxes. What a
# judge of the vehicles says of these, no translation of vehicles can surpass: it looks at the ground, too.
true_vehicles() {
    local made="$RESULTS/$1/truth_latest/images" out="$RESULTS/true_vehicles"
    PYTHONPATH="$ROOT" "$PYTHON" - "$made" "$out" <<'END'
import csv
import sys
from pathlib import Path

import numpy as np
import torch

from data.images import read_image, write_image
from metrics.boxes import grown, inside

made, out = map(Path, sys.argv[1:])
with (made / "labels.csv").open() as table:
    labels = [row for row in csv.DictReader(table) if row["file"].startswith("fake_B/")]
for label in labels:
    name = Path(label["file"]).relative_to("fake_B")
    fake, true = (read_image(made / kind / name) for kind in ("fake_B", "real_B"))
    x, y, width, height = (float(label[f"box_{part}"]) for part in "xywh")
    box = grown(torch.tensor([[x, y, x + width, y + height]]))
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    write_image(out / name, np.where(inside(box, *fake.shape)[0].numpy(), true, fake))
END
    sets+=(--set "$2" "$out" "$images/truth/B" "$images/truth/A")
}

# other_pairs GAP: what to learn from in place of CUT's pairs: pairs of a sensor fitted the other way,
# real -> simulated, and true ones of 240 other scenes, which nobody has of real vehicles
other_pairs() {
    local data="$DATASETS/fit_mwir_real2cut"
    train fit_real2sim --model sensor_fit --dataroot "$data" --preprocess none
    for phase in train test; do
        translate fit_real2sim --dataroot "$data" --phase "$phase" --preprocess none --no_noise --num_test all
    done
    "$PYTHON" "$ROOT/datasets/make_pseudo_pairs.py" --out "$DATASETS/fit_pairs" --resume \
        --train "$RESULTS/fit_real2sim/train_latest" --test "$RESULTS/fit_real2sim/test_latest"
    make_scenes "$DATASETS/others" "$1" --num_train 8 --num_test 240 --seed 5
}

# published PREFIX SEED: the classifier, CUT, pseudo-pairs, Pix2Pix, and Grad-CAM feedback
# The flags are lists of words by design: unquoted.
# shellcheck disable=SC2086
published() {
    NAME_PREFIX="$1" "$scripts/run_classifier.sh" "$images" $CLASSIFIER_FLAGS --seed "$2"
    pix2pix "$1" "$2"
    NAME_PREFIX="$1" "$scripts/run_pix2pix_gradcam.sh" $GRADCAM_FLAGS --seed "$2"
    truth "$1mwir_pix2pix" "Pix2Pix, seed $2"
    truth "$1mwir_pix2pix_gradcam" "Pix2Pix + Grad-CAM, seed $2"
}

# designs PREFIX SEED: D blind to the target, networks that begin as the target fit, and one that
# learns from real vehicles alone
# shellcheck disable=SC2086
designs() {
    train "$1cut_on_fit" --model cut --dataroot "$DATASETS/$1mwir_sim2cut" --preprocess none \
        --sensor fit_mwir_target_fit $cut $blind --print_freq 240 --seed "$2"
    truth "$1cut_on_fit" "blind CUT on the target fit, seed $2"
    pix2pix "$1blind_" "$2" $blind
    truth "$1blind_mwir_pix2pix" "Pix2Pix on pairs of blind CUT, seed $2"
    train "$1pix2pix_on_fit" --model pix2pix --dataroot "$DATASETS/$1blind_mwir_pix2pix" \
        --preprocess none --netG resnet_4blocks $narrow --sensor fit_mwir_target_fit \
        --lambda_box 10 --print_freq 240 --seed "$2"
    truth "$1pix2pix_on_fit" "the same on the target fit, L1 x10 in boxes, seed $2"
    train "$1perfect" --model pix2pix --dataroot "$DATASETS/others" --phase truth \
        --preprocess none --netG resnet_4blocks $narrow --sensor fit_mwir_target_fit \
        --lambda_box 10 --print_freq 240 --seed "$2"
    truth "$1perfect" "the same on true pairs, seed $2"
    train "$1fit_pix2pix" --model pix2pix --dataroot "$DATASETS/fit_pairs" $PIX2PIX_FLAGS --seed "$2"
    truth "$1fit_pix2pix" "Pix2Pix on pairs of a fitted sensor, seed $2"
    NAME_PREFIX="$1" "$scripts/run_reheat.sh" --sensor fit_mwir_target_fit $reheat --seed "$2"
    truth "$1mwir_reheat" "target fit, reheated, seed $2"
}

# pix2pix PREFIX SEED [FLAGS OF CUT...]: CUT, pseudo-pairs and Pix2Pix
# shellcheck disable=SC2086
pix2pix() (
    unpaired "$1"
    export NAME_PREFIX="$1"
    "$scripts/run_real2cut.sh" $CUT_FLAGS "${@:3}" --seed "$2"
    "$scripts/make_pseudo_pairs.sh" $CUT_FLAGS "${@:3}" --seed "$2"
    "$scripts/run_pix2pix.sh" $PIX2PIX_FLAGS --seed "$2"
)

# unpaired PREFIX: the datasets of CUT and of the fits
unpaired() {
    "$PYTHON" "$ROOT/datasets/make_unpaired.py" --real "$images/real" --sim "$images/sim" \
        --out "$DATASETS" --prefix "$1"
}

[ $# -gt 0 ] || set -- mild hard
for gap in "$@"; do
    study "$gap"
done
