#!/usr/bin/env bash
# All real images through mwir_real2cut, then the aligned dataset mwir_pix2pix (sim-style, real).
# Flags are passed through to test.py.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
name="${mwir}_real2cut"
for phase in train test; do
    translate "$name" --dataroot "$DATASETS/$name" --phase "$phase" --num_test all "$@"
done
"$PYTHON" "$ROOT/datasets/make_pseudo_pairs.py" --out "$DATASETS/${mwir}_pix2pix" \
    --train "$RESULTS/$name/train_latest" --test "$RESULTS/$name/test_latest" ${RESUME:+--resume}
