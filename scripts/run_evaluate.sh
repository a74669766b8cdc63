#!/usr/bin/env bash
# Metrics of the test results of the Grad-CAM stage, or of another STAGE (in the environment), judged
# by mwir_judge, in the vehicles' boxes too where the dataset has them. Flags are passed through to
# evaluate.py.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
stage="${STAGE:-pix2pix_gradcam}"
results="$RESULTS/${mwir}_$stage"
case "$stage" in
    pix2pix*) data=pix2pix ;;
    real2cut) data=real2cut ;;
    *) data=sim2cut ;;
esac
labels="$DATASETS/${mwir}_$data/labels.csv"
[ ! -e "$labels" ] || set -- --labels "$labels" "$@"
"$PYTHON" "$ROOT/evaluate.py" --results "$results/test_latest" \
    --classifier "$CHECKPOINTS/${mwir}_judge/latest_net_classifier.pth" \
    --out "$results/metrics.json" "$@"
