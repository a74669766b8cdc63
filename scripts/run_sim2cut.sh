#!/usr/bin/env bash
# CUT, simulated -> real style: train, then translate test images. Flags are passed through.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
name="${mwir}_sim2cut"
train_and_translate "$name" --model cut --dataroot "$DATASETS/$name" --num_test all "$@"
