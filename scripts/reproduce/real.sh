#!/usr/bin/env bash
# The method on real images: real.sh DATA_ROOT [PUBLISHED]. DATA_ROOT holds real/, whose labels.csv has
# class, range and boxes, and sim/, with ranges in the names. Real and simulated images of 1,000 and
# 1,500 m, 256x256; networks learn from crops of 128x128 and translate whole images. Seven of sixteen
# recordings and one of three hours of the simulator are held out. What is finished stays, so an
# interrupted study goes on by the same command. Its tables, with report.html:
#   results/real/ablation    simulator and pseudo-pairs as they are, and translated by the fits and the
#                            networks, and pairs of a CUT that is blind to vehicles and of one with
#                            attention feedback; SEEDS (default "1 2 3") of all trainings
#   results/real/feedback    the Pix2Pix of seed 1 trained on with and without attention feedback;
#                            FEEDBACK_SEEDS (default "1 2 3 4 5")
#   results/real/published   CUT's images of PUBLISHED (real_A/, fake_B/) beside those of CUT here
set -euo pipefail
if [ $# -eq 0 ] || [ $# -gt 2 ] || [ ! -f "$1/labels.csv" ] || [ ! -d "$1/sim" ] ||
    { [ $# -eq 2 ] && [ ! -d "$2/fake_B" ]; }; then
    echo "error: name the folder with real/, labels.csv and sim/, and if need be one with" \
        "real_A/ and fake_B/: real.sh DATA_ROOT [PUBLISHED]" >&2
    exit 2
fi
data_root="$(cd "$1" && pwd)"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
export DATASETS="$root/datasets/real" CHECKPOINTS="$root/checkpoints/real" RESULTS="$root/results/real"
export RESUME=1
unset NAME_PREFIX
source "$root/scripts/common.sh"
images="$DATASETS/images" judges="$DATASETS/judges"
seeds="${SEEDS:-1 2 3}" feedback_seeds="${FEEDBACK_SEEDS:-1 2 3 4 5}"
test_recordings="2S3_1500 BMP2_1500 PICKUP_1500 SUV_1500 BTR70_1000 T72_1000 ZSU23_1000"

crops="--preprocess crop --crop_size 128 --print_freq 225"
cut="--model cut --netG resnet_4blocks --ngf 16 --ndf 16 --netF_nc 64 --num_patches 128 --lr 0.0004
    --n_epochs 2 --n_epochs_decay 1 $crops"
unet="--netG unet_128 --ngf 16 --ndf 16 $crops"
reheat="--model pix2pix --dataset_mode randomized --sensor target_fit --preprocess crop --crop_size 64
    --batch_size 8 --netG resnet_4blocks --ngf 32 --ndf 16 --normG batch --no_dropout --lambda_box 20
    --lambda_GAN 0.3 --lr 0.001 --n_epochs 25 --n_epochs_decay 25 --print_freq 225"
classifier="--model classifier --batch_size 16 --n_epochs 10 --n_epochs_decay 10 --val_freq 20
    --print_freq 225"

# share_out: every second image of 1,000 and 1,500 m to train and to test on; to the judges those in
# between, of the recordings that are trained on, and all that are farther. A recording is a class at
# a range.
share_out() {
    rm -rf "$images/real" "$judges/real"
    mkdir -p "$images/real" "$judges/real"
    awk -F, -v OFS=, -v held_out="$test_recordings" -v images="$images" -v judges="$judges" '
        { sub(/\r$/, "") }
        NR == 1 {
            for (i = 1; i <= NF; i++) at[$i] = i
            print $0, "group" > (images "/labels.csv")
            print $0, "group" > (judges "/labels.csv")
            next
        }
        {
            recording = $at["class"] "_" $at["range_m"]
            near = $at["range_m"] <= 1500
            test = index(held_out, recording)
            between = near && seen[recording]++ % 2
            if (test && between) next
            out = near && !between ? images : judges
            file = $at["file"]
            $at["split"] = test ? "test" : "train"
            sub(/^real\/[^\/]*/, "real/" $at["split"], $at["file"])
            print $0, recording > (out "/labels.csv")
            print file, out "/" $at["file"]
        }' "$data_root/labels.csv" |
        while IFS=, read -r file link; do
            mkdir -p "$(dirname "$link")"
            ln -s "$data_root/$file" "$link"
        done
    mkdir -p "$DATASETS/export"
    find "$data_root/sim" -name '*_1[05]00m_*.png' -exec ln -sfn {} "$DATASETS/export/" ';'
    "$PYTHON" "$ROOT/datasets/prepare_sim.py" --sim "$DATASETS/export" --out "$images/sim" --test hour 20
    "$PYTHON" "$ROOT/datasets/make_unpaired.py" --real "$images/real" --sim "$images/sim" --out "$DATASETS"
}

# The flags are lists of words by design: unquoted.
# shellcheck disable=SC2086
classifiers() {
    train teacher_resnet18 $classifier --dataroot "$images/real"
    train teacher_attention $classifier --dataroot "$images/real" --netC attention
    train judge_attention $classifier --dataroot "$judges/real" --netC attention --seed 1
    train chips $classifier --dataroot "$judges/real" --netC efficientnet_lite0 --seed 1
}

# whole NAME FLAGS...: translate whole images
whole() {
    translate "$1" --preprocess none --num_test all "${@:2}"
}

# on_simulated NAME ROW
on_simulated() {
    whole "$1" --dataroot "$DATASETS/mwir_sim2cut" --dataset_mode single --results_dir "$RESULTS/simulator"
    sets+=(--set "simulator → $2" "$RESULTS/simulator/$1/test_latest")
}

# on_pairs NAME ROW SEED [FOLDER]: of the pseudo-pairs of a seed
on_pairs() {
    local folder="$RESULTS/pairs${4:-}"
    whole "$1" --dataroot "$DATASETS/s$3_pairs" --dataset_mode aligned --results_dir "$folder"
    sets+=(--set "pseudo-pairs → $2" "$folder/$1/test_latest")
}

# real2cut NAME SEED FLAGS...: CUT, real -> simulated
# shellcheck disable=SC2086
real2cut() {
    train "$1" $cut --dataroot "$DATASETS/mwir_real2cut" --seed "$2" "${@:3}"
    for phase in train test; do
        whole "$1" --dataroot "$DATASETS/mwir_real2cut" --phase "$phase"
    done
}

# pseudo_pairs NAME DATASET ROW: of what NAME has made of the real images
pseudo_pairs() {
    local pairs="$DATASETS/$2"
    "$PYTHON" "$ROOT/datasets/make_pseudo_pairs.py" --out "$pairs" --resume \
        --train "$RESULTS/$1/train_latest" --test "$RESULTS/$1/test_latest"
    sets+=(--set "$3" "$pairs/test_A" "$pairs/test_B" "$pairs/test_B")
}

# simulator_style NAME ROW: what NAME has made of the real test images, which are no dataset
simulator_style() {
    local made="$RESULTS/$1/test_latest/images"
    sets+=(--set "$2" "$made/fake_B" "$made/real_A" "$made/real_A")
}

# longer START TEACHER WEIGHT SEED: the Pix2Pix of seed START trained on for three epochs, named $name
# shellcheck disable=SC2086
longer() {
    name="s$1_$2_$3_$4"
    local model=(--model pix2pix)
    [ "$2" = none ] || model=(--model pix2pix_gradcam --lambda_gradcam "$3"
        --classifier "$CHECKPOINTS/teacher_$2/latest_net_classifier.pth")
    train "$name" --dataroot "$DATASETS/s$1_pairs" $unet --pretrained_name "s$1_pix2pix" \
        --epoch_count 7 --n_epochs 6 --n_epochs_decay 3 --seed "$4" "${model[@]}"
}

# design ROW SEEDS: what evaluate.py calls the rows of a design, which several seeds make
design() {
    case "$2" in
        *" "*) echo "$1" ;;
        *) echo "$1, seed $2" ;;
    esac
}

# compare NAME FLAGS...: the table of all rows
compare() {
    "$PYTHON" "$ROOT/evaluate.py" "${sets[@]}" \
        --labels "$images/labels.csv" "$images/sim/labels.csv" --report "$RESULTS/$1" \
        --chip_classifier "$CHECKPOINTS/chips/latest_net_classifier.pth" "${@:2}"
}
attention=(--classifier "$CHECKPOINTS/judge_attention/latest_net_classifier.pth")
real=(--real "$images/real/test" --training "$images/real/train")

# shellcheck disable=SC2086
ablation() {
    sets=(--set simulator "$DATASETS/mwir_sim2cut/test_A")
    local fit_flags="--model sensor_fit --dataroot $DATASETS/mwir_sim2cut --preprocess none"
    train sensor_fit $fit_flags # nothing in them is random
    train target_fit $fit_flags --fit_target
    on_simulated sensor_fit "fitted sensor"
    on_simulated target_fit "target recipe"
    train real2sim --model sensor_fit --dataroot "$DATASETS/mwir_real2cut" --preprocess none
    for phase in train test; do
        whole real2sim --dataroot "$DATASETS/mwir_real2cut" --phase "$phase" --no_noise
    done
    pseudo_pairs real2sim fit_pairs "pseudo-pairs of a fitted sensor"
    for seed in $seeds; do
        local pairs="$DATASETS/s${seed}_pairs"
        real2cut "s${seed}_real2cut" "$seed"
        pseudo_pairs "s${seed}_real2cut" "s${seed}_pairs" "pseudo-pairs, seed $seed"
        real2cut "s${seed}_blind_real2cut" "$seed" --blind_target --box_patches 0.25
        simulator_style "s${seed}_blind_real2cut" "blind pseudo-pairs, seed $seed"
        real2cut "s${seed}_taught_real2cut" "$seed" --model cut_gradcam \
            --classifier "$CHECKPOINTS/teacher_attention/latest_net_classifier.pth"
        simulator_style "s${seed}_taught_real2cut" "pseudo-pairs with feedback, seed $seed"
        on_pairs sensor_fit "fitted sensor, seed $seed" "$seed" "_s$seed"
        on_pairs target_fit "target recipe, seed $seed" "$seed" "_s$seed"
        train "s${seed}_pix2pix" --model pix2pix --dataroot "$pairs" $unet \
            --n_epochs 3 --n_epochs_decay 3 --seed "$seed"
        train "s${seed}_fit_pix2pix" --model pix2pix --dataroot "$DATASETS/fit_pairs" $unet \
            --n_epochs 3 --n_epochs_decay 3 --seed "$seed"
        on_simulated "s${seed}_fit_pix2pix" "Pix2Pix on pairs of a fitted sensor, seed $seed"
        train "s${seed}_reheat" --dataroot "$DATASETS/mwir_sim2cut" $reheat --seed "$seed"
        on_simulated "s${seed}_reheat" "target recipe, reheated, seed $seed"
        taught "$seed" none 0 "Pix2Pix"
        taught "$seed" resnet18 10 "Pix2Pix + Grad-CAM"
        taught "$seed" attention 10 "Pix2Pix + attention network"
    done
    compare ablation "${real[@]}" "${attention[@]}" --against "simulator → fitted sensor" \
        "$(design "simulator → Pix2Pix" "$seeds")" "$(design "pseudo-pairs → Pix2Pix" "$seeds")"
}

# taught SEED TEACHER WEIGHT ROW
taught() {
    longer "$1" "$2" "$3" "$1"
    on_simulated "$name" "$4, seed $1"
    on_pairs "$name" "$4, seed $1" "$1"
}

feedback() {
    sets=()
    for seed in $feedback_seeds; do
        for run in "none 0" "resnet18 10" "attention 10"; do
            fed "$run" "$seed"
        done
    done
    for run in "resnet18 1" "resnet18 50" "attention 1" "attention 50"; do
        fed "$run" 1
    done
    compare feedback "${real[@]}" "${attention[@]}" \
        --against "$(design "pseudo-pairs → none, weight 0" "$feedback_seeds")"
}

# fed "TEACHER WEIGHT" SEED
fed() {
    longer 1 "${1% *}" "${1#* }" "$2"
    on_pairs "$name" "${1% *}, weight ${1#* }, seed $2" 1
}

# published FOLDER: CUT real -> simulated on the same images, compared with the simulator's
published() {
    "$PYTHON" - "$1" "$DATASETS/published" <<'END'
import sys
from pathlib import Path

from PIL import Image

source, out = map(Path, sys.argv[1:])
for kind in ("real_A", "fake_B"):
    (out / kind).mkdir(parents=True, exist_ok=True)
    for file in sorted((source / kind).glob("*.png")):
        Image.open(file).convert("L").save(out / kind / file.name)  # of 8 bits
END
    sets=(--set "published images" "$DATASETS/published")
    for seed in $seeds; do
        for design in "CUT:s${seed}_real2cut" "blind CUT:s${seed}_blind_real2cut"; do
            whole "${design#*:}" --dataroot "$DATASETS/published/real_A" --dataset_mode single \
                --results_dir "$RESULTS/on_published"
            sets+=(--set "${design%:*}, seed $seed" "$RESULTS/on_published/${design#*:}/test_latest")
        done
    done
    compare published --real "$images/sim"
}

[ -e "$DATASETS/mwir_sim2cut/dataset.json" ] || share_out
classifiers
ablation
feedback
[ $# -lt 2 ] || published "$(cd "$2" && pwd)"
