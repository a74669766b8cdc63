#!/usr/bin/env bash
# Metrics of the Grad-CAM stage's test results, judged by mwir_judge. Flags are passed through to
# evaluate.py.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
"$PYTHON" "$ROOT/evaluate.py" --results "$RESULTS/mwir_pix2pix_gradcam/test_latest" \
    --classifier "$CHECKPOINTS/mwir_judge/latest_net_classifier.pth" \
    --out "$RESULTS/mwir_pix2pix_gradcam/metrics.json" "$@"
