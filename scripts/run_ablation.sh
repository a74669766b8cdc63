#!/usr/bin/env bash
# What each stage is good for: run_ablation.sh DATA_ROOT [FLAGS...] runs the pipeline and then compares,
# in one table and report, the simulator's images and the pseudo-pairs as they are, through a fitted
# sensor, the baseline, through Pix2Pix, and through Pix2Pix + Grad-CAM. Pix2Pix is trained on for as
# many epochs as the Grad-CAM stage took (weight 0 for the attention loss), so that the two differ in
# nothing else.
#
# FLAGS and the *_FLAGS in the environment are those of run_pipeline.sh; EVALUATE_FLAGS go to evaluate.py.
# Every table *labels.csv in DATA_ROOT, DATA_ROOT/real and DATA_ROOT/sim is read: boxes for the target
# metrics, ranges to match the sets.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
RECIPE=published "$ROOT/scripts/run_pipeline.sh" "$@"
data_root="$(cd "$1" && pwd)"
flags=("${@:2}")
export DATASETS CHECKPOINTS RESULTS PYTHON RESUME=1
gradcam="${mwir}_pix2pix_gradcam" matched="${mwir}_pix2pix_matched"
pairs="$DATASETS/${mwir}_pix2pix" sim="$DATASETS/${mwir}_sim2cut"
out="$RESULTS/${NAME_PREFIX:-}ablation"

echo "== $matched"
# GRADCAM_FLAGS is a list of words by design: unquoted.
# shellcheck disable=SC2086
NAME="$matched" "$ROOT/scripts/run_pix2pix_gradcam.sh" ${GRADCAM_FLAGS:-} \
    ${flags[@]+"${flags[@]}"} --lambda_gradcam 0

echo "== ${mwir}_sensor_fit"
"$ROOT/scripts/run_sensor_fit.sh" ${flags[@]+"${flags[@]}"}

echo "== translations"
for name in "${mwir}_sensor_fit" "$matched" "$gradcam"; do
    translate "$name" --dataroot "$pairs" --dataset_mode aligned --num_test all --results_dir "$out/pairs" \
        ${flags[@]+"${flags[@]}"}
    translate "$name" --dataroot "$sim" --dataset_mode single --num_test all \
        --results_dir "$out/simulator" ${flags[@]+"${flags[@]}"}
done

echo "== ablation"
labels=()
for table in "$data_root"/{,real/,sim/}*labels.csv; do
    [ ! -e "$table" ] || labels+=("$table")
done
[ ${#labels[@]} -eq 0 ] || labels=(--labels "${labels[@]}" --match_range 500)
# EVALUATE_FLAGS is a list of words by design: unquoted.
# shellcheck disable=SC2086
"$PYTHON" "$ROOT/evaluate.py" --real "$DATASETS/${mwir}_real2cut/test_A" \
    --training "$DATASETS/${mwir}_real2cut/train_A" \
    --set "simulator" "$sim/test_A" \
    --set "simulator → sensor fit" "$out/simulator/${mwir}_sensor_fit/test_latest" \
    --set "simulator → Pix2Pix" "$out/simulator/$matched/test_latest" \
    --set "simulator → Pix2Pix+Grad-CAM" "$out/simulator/$gradcam/test_latest" \
    --set "CUT pseudo-pairs" "$pairs/test_A" "$pairs/test_B" \
    --set "pseudo-pairs → sensor fit" "$out/pairs/${mwir}_sensor_fit/test_latest" \
    --set "pseudo-pairs → Pix2Pix" "$out/pairs/$matched/test_latest" \
    --set "pseudo-pairs → Pix2Pix+Grad-CAM" "$out/pairs/$gradcam/test_latest" \
    --classifier "$CHECKPOINTS/${mwir}_judge/latest_net_classifier.pth" \
    ${labels[@]+"${labels[@]}"} --report "$out" ${EVALUATE_FLAGS:-}
