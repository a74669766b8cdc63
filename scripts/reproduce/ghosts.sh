#!/usr/bin/env bash
# When CUT paints ghosts into real frames: ghosts.sh DATA_ROOT, which holds real/, with the boxes of its
# vehicles in labels.csv, and sim/. CUT real -> simulated as it is published, and with a discriminator
# that cannot see the vehicles, each in bf16 and in fp32 (PRECISIONS), on every fifth training and
# every third test image at 128x128; after each of 7 epochs the ghosts in the test frames. What is
# finished stays, so an interrupted study goes on by the same command; the table is
# results/ghosts/report/report.html.
set -euo pipefail
if [ $# -ne 1 ] || [ ! -d "$1/real" ] || [ ! -d "$1/sim" ]; then
    echo "error: name the folder that holds real/ and sim/: ghosts.sh DATA_ROOT" >&2
    exit 2
fi
data_root="$(cd "$1" && pwd)"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
export DATASETS="$root/datasets/ghosts" CHECKPOINTS="$root/checkpoints/ghosts" RESULTS="$root/results/ghosts"
export RESUME=1
unset NAME_PREFIX
source "$root/scripts/common.sh"
epochs=7
images="$DATASETS/images"

# thin PHASE N: every Nth real image
thin() {
    (cd "$data_root/real" && find "$1" -name '*.png' | sort | awk "NR % $2 == 0") |
        while read -r file; do
            mkdir -p "$images/real/$(dirname "$file")"
            ln -sfn "$data_root/real/$file" "$images/real/$file"
        done
}
thin train 5
thin test 3
cp "$data_root/labels.csv" "$images/labels.csv"
"$PYTHON" "$ROOT/datasets/prepare_sim.py" --sim "$data_root/sim" --out "$images/sim"
"$PYTHON" "$ROOT/datasets/make_unpaired.py" --real "$images/real" --sim "$images/sim" --out "$DATASETS"

data="$DATASETS/mwir_real2cut"
sets=()
for precision in ${PRECISIONS:-bf16 fp32}; do
    for design in "plain" "blind --blind_target --box_patches 0.25"; do
        # Flags are a list of words by design: unquoted.
        # shellcheck disable=SC2086
        set -- $design
        name="$1_$precision"
        train "$name" --model cut --dataroot "$data" --netG resnet_6blocks --ngf 32 --ndf 32 \
            --preprocess resize --load_size 128 --n_epochs 4 --n_epochs_decay 3 --save_epoch_freq 1 \
            --precision "$precision" --print_freq 340 "${@:2}"
        for ((epoch = 1; epoch <= epochs; epoch++)); do
            translate "$name" --dataroot "$data" --num_test all --epoch "$epoch"
            sets+=(--set "$1 CUT in $precision, epoch $epoch" "$RESULTS/$name/test_$epoch")
        done
    done
done
"$PYTHON" "$ROOT/evaluate.py" --real "$data/test_B" "${sets[@]}" --boxes "$data/labels.csv" \
    --report "$RESULTS/report"
