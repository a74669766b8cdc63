#!/usr/bin/env bash
# Whether attention feedback helps: feedback.sh [mild|hard ...]. The Pix2Pix of controlled.sh (seed
# 1) is trained on for equally long without a teacher, with a ResNet-18 that looks at whole frames,
# and with an attention network, for each of SEEDS (default "1 2 3 4 5") at the published weight 10,
# and for the first of them at 1 and 50. The judge of attention has seen neither the teachers' images
# nor the translations'. What is finished stays, so an interrupted study goes on by the same command;
# the table of each gap is results/controlled/GAP/feedback/report.html.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/scenes.sh"
seeds="${SEEDS:-1 2 3 4 5}"
classifier="--model classifier --batch_size 16 --n_epochs 10 --n_epochs_decay 10 --val_freq 20
    --print_freq 240"
longer="--netG unet_128 --ngf 16 --ndf 16 --load_size 143 --crop_size 128 --print_freq 240
    --pretrained_name s1_mwir_pix2pix --epoch_count 7 --n_epochs 6 --n_epochs_decay 3"

# The flags are lists of words by design: unquoted.
# shellcheck disable=SC2086
study() (
    first_seed "$1"
    scenes "$1"
    train teacher_resnet18 $classifier --dataroot "$images/real" --load_size 128 --crop_size 128
    train teacher_attention $classifier --dataroot "$images/real" --netC attention
    train judge_attention $classifier --dataroot "$judges/real" --netC attention --seed 1
    for seed in $seeds; do
        longer feedback_none "without a teacher" "$seed" --model pix2pix
        for teacher in resnet18 attention; do
            taught "$teacher" 10 "$seed"
            if [ "$seed" = "${seeds%% *}" ]; then
                taught "$teacher" 1 "$seed"
                taught "$teacher" 50 "$seed"
            fi
        done
    done
    compare feedback --classifier "$CHECKPOINTS/judge_attention/latest_net_classifier.pth" \
        --against "without a teacher"
)

# taught TEACHER WEIGHT SEED
taught() {
    longer "feedback_$1_$2" "$1 teacher, weight $2" "$3" --model pix2pix_gradcam \
        --lambda_gradcam "$2" --classifier "$CHECKPOINTS/teacher_$1/latest_net_classifier.pth"
}

# longer NAME ROW SEED FLAGS...: trained on, and a row of the table
# shellcheck disable=SC2086
longer() {
    train "$1_s$3" --dataroot "$DATASETS/s1_mwir_pix2pix" $longer --seed "$3" "${@:4}"
    truth "$1_s$3" "$2, seed $3"
}

[ $# -gt 0 ] || set -- mild hard
for gap in "$@"; do
    study "$gap"
done
