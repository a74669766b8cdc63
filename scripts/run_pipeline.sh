#!/usr/bin/env bash
# The whole method: run_pipeline.sh DATA_ROOT [FLAGS...], DATA_ROOT holding real/ and sim/.
#
# RECIPE in the environment: published (default), CUT, pseudo-pairs, Pix2Pix and Grad-CAM feedback;
# target, a sensor fitted to the vehicles; reheat, on top of that, vehicles as warm as real ones are.
# docs/RESULTS.md says which is best where. The last two need boxes in labels.csv, of real/ and sim/.
#
# FLAGS go to every stage, so all must know them (--gpu_ids, --num_threads, ...). CUT_FLAGS,
# PIX2PIX_FLAGS, CLASSIFIER_FLAGS, GRADCAM_FLAGS and REHEAT_FLAGS in the environment go to one stage
# each. A finished stage is left as it is and an interrupted one goes on, where it is of the same images,
# flags and inputs; else the pipeline stops at it. NAME_PREFIX in the environment begins the names of
# all runs and datasets: other data, or other flags, beside these.
set -euo pipefail
if [ $# -eq 0 ] || [ ! -d "$1/real" ] || [ ! -d "$1/sim" ]; then
    echo "error: name a folder that holds real/ and sim/: run_pipeline.sh DATA_ROOT [FLAGS...]" >&2
    exit 2
fi
recipe="${RECIPE:-published}"
case "$recipe" in
    published | target | reheat) ;;
    *)
        echo "error: there is no RECIPE=$recipe; it is published, target or reheat." >&2
        exit 2
        ;;
esac
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
data_root="$(cd "$1" && pwd)"
flags=("${@:2}")

export DATASETS CHECKPOINTS RESULTS PYTHON RESUME=1
scripts="$ROOT/scripts"

# tell_next STAGE: how its generator translates simulated images
tell_next() {
    local places=(--dataroot "$data_root/sim/test" --results_dir results/translated)
    [ "$CHECKPOINTS" = "$ROOT/checkpoints" ] || places+=(--checkpoints_dir "$CHECKPOINTS")
    printf "next: python test.py --name %s --dataset_mode single --preprocess none" "${mwir}_$1"
    printf " %q" --num_test all "${places[@]}"
    echo
}

# check MODEL FLAGS...: those of a stage, before others have taken days
check() {
    "$PYTHON" "$ROOT/scripts/check_flags.py" --model "$@" ${flags[@]+"${flags[@]}"}
}

# The *_FLAGS are lists of words by design: unquoted.
# shellcheck disable=SC2086
{
    check classifier ${CLASSIFIER_FLAGS:-}
    if [ "$recipe" = published ]; then
        check cut ${CUT_FLAGS:-}
        check pix2pix ${PIX2PIX_FLAGS:-}
        check pix2pix_gradcam ${GRADCAM_FLAGS:-}
    else
        check sensor_fit
        check pix2pix ${REHEAT_FLAGS:-}
    fi

    if [ "$recipe" = published ]; then
        echo "== ${mwir}_classifier"
        "$scripts/run_classifier.sh" "$data_root" ${CLASSIFIER_FLAGS:-} ${flags[@]+"${flags[@]}"}
    fi
    echo "== ${mwir}_judge"
    "$scripts/run_judge.sh" "$data_root" ${CLASSIFIER_FLAGS:-} ${flags[@]+"${flags[@]}"}
    # Behind the stages that look at the real images themselves, and refuse others first.
    "$PYTHON" "$ROOT/datasets/make_unpaired.py" --real "$data_root/real" --sim "$data_root/sim" \
        --out "$DATASETS" --prefix "${NAME_PREFIX:-}"
    if [ "$recipe" != published ]; then
        echo "== ${mwir}_target_fit"
        "$scripts/run_target_fit.sh" ${flags[@]+"${flags[@]}"}
        stage=target_fit
        if [ "$recipe" = reheat ]; then
            echo "== ${mwir}_reheat"
            "$scripts/run_reheat.sh" ${REHEAT_FLAGS:-} ${flags[@]+"${flags[@]}"}
            stage=reheat
        fi
        echo "== evaluation"
        STAGE="$stage" "$scripts/run_evaluate.sh"
        tell_next "$stage"
        exit
    fi
    echo "== ${mwir}_real2cut"
    "$scripts/run_real2cut.sh" ${CUT_FLAGS:-} ${flags[@]+"${flags[@]}"}
    echo "== pseudo-pairs"
    "$scripts/make_pseudo_pairs.sh" ${CUT_FLAGS:-} ${flags[@]+"${flags[@]}"}
    echo "== ${mwir}_pix2pix"
    "$scripts/run_pix2pix.sh" ${PIX2PIX_FLAGS:-} ${flags[@]+"${flags[@]}"}
    echo "== ${mwir}_pix2pix_gradcam"
    "$scripts/run_pix2pix_gradcam.sh" ${GRADCAM_FLAGS:-} ${flags[@]+"${flags[@]}"}
    echo "== evaluation"
    "$scripts/run_evaluate.sh"
    tell_next pix2pix_gradcam
}
