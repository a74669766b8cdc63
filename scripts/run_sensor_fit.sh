#!/usr/bin/env bash
# The baseline: a sensor (grey-level curve, MTF, noise) between simulated and real images, fitted in
# closed form; then test images are translated with it. Flags are passed through.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
train_and_translate "${mwir}_sensor_fit" --model sensor_fit \
    --dataroot "$DATASETS/${mwir}_sim2cut" --num_test all "$@"
