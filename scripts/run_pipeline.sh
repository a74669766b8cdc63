#!/usr/bin/env bash
# The whole method: run_pipeline.sh DATA_ROOT [FLAGS...], DATA_ROOT holding real/ and sim/.
#
# FLAGS go to every stage, so all must know them (--gpu_ids, --num_threads, ...). CUT_FLAGS,
# PIX2PIX_FLAGS, CLASSIFIER_FLAGS and GRADCAM_FLAGS in the environment go to one stage each. A
# finished stage is skipped, an interrupted one goes on: delete its folder in checkpoints to train
# it anew.
set -euo pipefail
if [ $# -eq 0 ] || [ ! -d "$1/real" ] || [ ! -d "$1/sim" ]; then
    echo "error: name a folder that holds real/ and sim/: run_pipeline.sh DATA_ROOT [FLAGS...]" >&2
    exit 2
fi
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
data_root="$(cd "$1" && pwd)"
flags=("${@:2}")

export DATASETS CHECKPOINTS RESULTS PYTHON RESUME=1
scripts="$ROOT/scripts"
pairs="$DATASETS/mwir_pix2pix"
# The *_FLAGS are lists of words by design: unquoted.
# shellcheck disable=SC2086
{
    "$PYTHON" "$ROOT/datasets/make_unpaired.py" --real "$data_root/real" --sim "$data_root/sim" \
        --out "$DATASETS"
    echo "== mwir_classifier"
    "$scripts/run_classifier.sh" "$data_root" ${CLASSIFIER_FLAGS:-} ${flags[@]+"${flags[@]}"}
    echo "== mwir_judge"
    "$scripts/run_judge.sh" "$data_root" ${CLASSIFIER_FLAGS:-} ${flags[@]+"${flags[@]}"}
    echo "== mwir_real2cut"
    "$scripts/run_real2cut.sh" ${CUT_FLAGS:-} ${flags[@]+"${flags[@]}"}
    echo "== pseudo-pairs"
    if [ "$pairs/dataset.json" -nt "$CHECKPOINTS/mwir_real2cut/finished" ]; then
        echo "$pairs is newer than mwir_real2cut: skipped"
    else
        "$scripts/make_pseudo_pairs.sh" ${CUT_FLAGS:-} ${flags[@]+"${flags[@]}"}
    fi
    echo "== mwir_pix2pix"
    "$scripts/run_pix2pix.sh" ${PIX2PIX_FLAGS:-} ${flags[@]+"${flags[@]}"}
    echo "== mwir_pix2pix_gradcam"
    "$scripts/run_pix2pix_gradcam.sh" ${GRADCAM_FLAGS:-} ${flags[@]+"${flags[@]}"}
    echo "== evaluation"
    "$scripts/run_evaluate.sh"
}
