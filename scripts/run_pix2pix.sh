#!/usr/bin/env bash
# Pix2Pix on the pseudo-pairs, epochs 1-200: train, then translate test images.
# Flags are passed through.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
name="${mwir}_pix2pix"
train_and_translate "$name" --model pix2pix --dataroot "$DATASETS/$name" --num_test all "$@"
