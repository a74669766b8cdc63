#!/usr/bin/env bash
# CUT, real -> simulator style: train, then translate test images. Flags are passed through.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
train_and_translate mwir_real2cut --model cut --dataroot "$DATASETS/mwir_real2cut" "$@"
