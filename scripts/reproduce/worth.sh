#!/usr/bin/env bash
# What translations are worth for recognition: worth.sh. Attention networks learn from sensor frames,
# from simulated ones, and from simulated ones translated by the fits and the networks of
# controlled.sh (gap mild, seed 1), 240 images each, and are tested on 200 sensor frames of other
# recordings. SEEDS (default 3) is how many trainings each. What is finished stays, so an interrupted
# study goes on by the same command; the table is results/controlled/mild/worth/downstream.md.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/scenes.sh"
first_seed mild
scenes mild
sets=(--set "real" "$images/real" --set "simulator" "$images/sim")

# translated NAME ROW
translated() {
    translate "$1" --dataroot "$DATASETS/fit_mwir_sim2cut" --dataset_mode single --phase train \
        --num_test all
    sets+=(--set "$2" "$RESULTS/$1/train_latest/images/fake_B")
}
translated fit_mwir_sensor_fit "fitted sensor"
translated fit_mwir_target_fit "target recipe"
translated s1_mwir_pix2pix "Pix2Pix"
translated s1_mwir_pix2pix_gradcam "Pix2Pix + Grad-CAM"
translated s1_cut_on_fit "blind CUT on the target fit"
"$PYTHON" "$ROOT/downstream.py" "${sets[@]}" --test "$images/real" --seeds "${SEEDS:-3}" \
    --out "$RESULTS/worth" -- --netC attention --batch_size 16 --n_epochs 10 --n_epochs_decay 10 \
    --print_freq 240
