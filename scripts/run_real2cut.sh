#!/usr/bin/env bash
# CUT, real -> simulator style: train, then translate all test images, of which pseudo-pairs are
# made. Flags are passed through.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
name="${mwir}_real2cut"
train_and_translate "$name" --model cut --dataroot "$DATASETS/$name" --num_test all "$@"
