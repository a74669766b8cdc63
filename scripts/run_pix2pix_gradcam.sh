#!/usr/bin/env bash
# Pix2Pix with Grad-CAM feedback, epochs 201-400 on top of mwir_pix2pix: train, then translate.
# Flags are passed through. NAME in the environment names another run.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
train_and_translate "${NAME:-${mwir}_pix2pix_gradcam}" --model pix2pix_gradcam \
    --dataroot "$DATASETS/${mwir}_pix2pix" --pretrained_name "${mwir}_pix2pix" \
    --classifier "$CHECKPOINTS/${mwir}_classifier/latest_net_classifier.pth" \
    --epoch_count 201 --n_epochs 200 --n_epochs_decay 200 --num_test all "$@"
