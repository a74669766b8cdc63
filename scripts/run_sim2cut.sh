#!/usr/bin/env bash
# CUT, simulated -> real style: train, then translate test images. Flags are passed through.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
train_and_translate mwir_sim2cut --model cut --dataroot "$DATASETS/mwir_sim2cut" "$@"
