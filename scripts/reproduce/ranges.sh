#!/usr/bin/env bash
# What translations are worth for recognition at ranges without labelled images: ranges.sh DATA_ROOT,
# which holds labels.csv with class, range and boxes of its labelled images. Attention networks learn
# from images of 1,000 to 2,000 m, with and without half of them translated to what the sensor shows
# at 3,000 and 3,500 m (from images of other recordings there, without their classes), and from such
# far images themselves; they are tested at 3,000 and 3,500 m. SEEDS (default 3) is how many trainings
# each. What is finished stays, so an interrupted study goes on by the same command; the table is
# results/ranges/worth/downstream.md.
set -euo pipefail
if [ $# -ne 1 ] || [ ! -f "$1/labels.csv" ]; then
    echo "error: name the folder with labels.csv and its images: ranges.sh DATA_ROOT" >&2
    exit 2
fi
data_root="$(cd "$1" && pwd)"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
export DATASETS="$root/datasets/ranges" CHECKPOINTS="$root/checkpoints/ranges" RESULTS="$root/results/ranges"
export RESUME=1
unset NAME_PREFIX
source "$root/scripts/common.sh"
images="$DATASETS/images" sets="$DATASETS/sets"
test_recordings="BMP2_3000 BTR70_3000 PICKUP_3000 T72_3000 BRDM2_3500 SUV_3500 ZSU23_3500"
columns="class range_m box_x box_y box_w box_h"

# share_out: every second image; the near ones by turns to near_1 and near_2, the far ones by recording
# (a class at a range) to far/train and far/test
share_out() {
    awk -F, -v OFS=, -v held_out="$test_recordings" -v root="$data_root" -v out="$images" '
        { sub(/\r$/, "") }
        NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        {
            recording = $at["class"] "_" $at["range_m"]
            turn = seen[recording]++
            if (turn % 2) next
            far = $at["range_m"] > 2000
            part = far ? "far" : "near_" (turn % 4 ? 2 : 1)
            split_ = index(held_out, recording) ? "test" : "train"
            print root "/" $at["file"], out "/" part "/" split_ "/" $at["file"],
                out "/" part, split_ "/" $at["file"], split_, recording, $at["class"],
                $at["range_m"], $at["box_x"], $at["box_y"], $at["box_w"], $at["box_h"]
        }' "$data_root/labels.csv" | link
}

# link: reads source, link, folder, and a row for the labels.csv of that folder
link() {
    while IFS=, read -r source target folder row; do
        mkdir -p "$(dirname "$target")"
        ln -s "$source" "$target"
        [ -e "$folder/labels.csv" ] || echo "file,split,group,${columns// /,}" >"$folder/labels.csv"
        echo "$row" >>"$folder/labels.csv"
    done
}

# learn_from ROW FOLDER...: a set of the training images that labels.csv of the folders lists
learn_from() {
    local out="$sets/$1"
    rm -rf "$out"
    for folder in "${@:2}"; do
        awk -F, -v OFS=, -v from="$folder" -v out="$out" -v part="${folder//\//_}" '
            { sub(/\r$/, "") }
            NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
            at["split"] && $at["split"] != "train" { next }
            {
                file = "train/" part "/" $at["file"]
                print from "/" $at["file"], out "/" file, out, file, "train", $at["group"],
                    $at["class"], $at["range_m"], $at["box_x"], $at["box_y"], $at["box_w"], $at["box_h"]
            }' "$folder/labels.csv" | link
    done
    rows+=(--set "$1" "$out")
}

# translated ROW NAME FLAGS...: half of the near images as they are, half translated to far ones
translated() {
    train "$2" --dataroot "$DATASETS/mwir_sim2cut" "${@:3}"
    translate "$2" --dataroot "$DATASETS/mwir_sim2cut" --dataset_mode single --phase train \
        --preprocess none --num_test all
    learn_from "$1" "$images/near_1" "$RESULTS/$2/train_latest/images"
}

if [ ! -e "$DATASETS/mwir_sim2cut/dataset.json" ]; then
    rm -rf "$images"
    share_out
    "$PYTHON" "$ROOT/datasets/make_unpaired.py" --real "$images/far" --sim "$images/near_2" --out "$DATASETS"
fi
cut="--model cut --netG resnet_4blocks --ngf 16 --ndf 16 --netF_nc 64 --num_patches 128 --lr 0.0004
    --n_epochs 2 --n_epochs_decay 1 --preprocess crop --crop_size 128 --print_freq 300"
rows=()
learn_from "near" "$images/near_1" "$images/near_2"
translated "half by a fitted sensor" sensor_fit --model sensor_fit --preprocess none
translated "half by the target recipe" target_fit --model sensor_fit --preprocess none --fit_target
# The flags are a list of words by design: unquoted.
# shellcheck disable=SC2086
translated "half by CUT" cut $cut
# shellcheck disable=SC2086
translated "half by blind CUT" blind_cut $cut --blind_target --box_patches 0.25
learn_from "half of far ones" "$images/near_1" "$images/far"
"$PYTHON" "$ROOT/downstream.py" "${rows[@]}" --test "$images/far" --seeds "${SEEDS:-3}" \
    --out "$RESULTS/worth" -- --netC attention --batch_size 16 --n_epochs 10 --n_epochs_decay 10 \
    --val_freq 20 --print_freq 600 --precision bf16
