#!/usr/bin/env bash
# Metrics of the test results of the Grad-CAM stage, or of another STAGE (in the environment), judged
# by mwir_judge. Flags are passed through to evaluate.py.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
results="$RESULTS/${mwir}_${STAGE:-pix2pix_gradcam}"
"$PYTHON" "$ROOT/evaluate.py" --results "$results/test_latest" \
    --classifier "$CHECKPOINTS/${mwir}_judge/latest_net_classifier.pth" \
    --out "$results/metrics.json" "$@"
