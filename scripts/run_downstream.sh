#!/usr/bin/env bash
# What translations are worth for training: run_downstream.sh DATA_ROOT [FLAGS...] runs the pipeline,
# translates its training images, trains the classifier on real, translated and simulator-like images,
# and tests it on DATA_ROOT/real/test.
#
# FLAGS and the *_FLAGS in the environment are those of run_pipeline.sh, CLASSIFIER_FLAGS for the
# classifiers here too; DOWNSTREAM_FLAGS go to downstream.py (--seeds 5).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
RECIPE=published "$ROOT/scripts/run_pipeline.sh" "$@"
data_root="$(cd "$1" && pwd)"
flags=("${@:2}")
export RESUME=1
name="${mwir}_pix2pix_gradcam" pairs="$DATASETS/${mwir}_pix2pix"
translated="$RESULTS/$name/train_latest"

echo "== translated training images"
translate "$name" --dataroot "$pairs" --phase train --num_test all ${flags[@]+"${flags[@]}"}
echo "== downstream"
# DOWNSTREAM_FLAGS and CLASSIFIER_FLAGS are lists of words by design: unquoted.
# shellcheck disable=SC2086
"$PYTHON" "$ROOT/downstream.py" --set real "$data_root/real" \
    --set translated "$translated/images/fake_B" --set simulator-like "$pairs/train_A" \
    --test "$data_root/real" --out "$RESULTS/${NAME_PREFIX:-}downstream" ${DOWNSTREAM_FLAGS:-} \
    -- ${CLASSIFIER_FLAGS:-} ${flags[@]+"${flags[@]}"}
