#!/usr/bin/env bash
# CUT, real -> simulator style: train, then translate test images. Flags are passed through.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
data=(--model cut --dataroot "$DATASETS/mwir_real2cut")
train mwir_real2cut "${data[@]}" "$@"
translate mwir_real2cut "${data[@]}" "$@"
