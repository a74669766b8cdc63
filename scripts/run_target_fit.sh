#!/usr/bin/env bash
# The fitted sensor made right on the targets, by the boxes of labels.csv of both domains; then test
# images are translated with it. Flags are passed through.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
train_and_translate "${mwir}_target_fit" --model sensor_fit --fit_target \
    --dataroot "$DATASETS/${mwir}_sim2cut" --num_test all "$@"
