#!/usr/bin/env bash
# All real images through mwir_real2cut, then the aligned dataset mwir_pix2pix (sim-style, real).
# Flags are passed through to test.py.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
for phase in train test; do
    translate mwir_real2cut --dataroot "$DATASETS/mwir_real2cut" --phase "$phase" --num_test all "$@"
done
"$PYTHON" "$ROOT/datasets/make_pseudo_pairs.py" --out "$DATASETS/mwir_pix2pix" \
    --train "$RESULTS/mwir_real2cut/train_latest" --test "$RESULTS/mwir_real2cut/test_latest"
