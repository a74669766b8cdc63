#!/usr/bin/env bash
# From nothing to a table in minutes on two CPU cores: set up, make a small demo set, train every
# stage on it, and compare its translations, those of the target recipe and those of a fitted
# sensor, the baseline, with the truth, which only a made scene can give. `demo.sh ablation` adds
# the eight-row table of run_ablation.sh, and its report.
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
[ -n "${PYTHON:-}" ] || "$ROOT/scripts/setup.sh"
export DATASETS="$ROOT/datasets/demo" CHECKPOINTS="$ROOT/checkpoints/demo" RESULTS="$ROOT/results/demo"
unset NAME_PREFIX # these folders are the demo's own
source "$ROOT/scripts/common.sh"
images="$DATASETS/images"
[ -e "$images/demo.json" ] || rm -rf "$images" # left by an interrupted demo

"$PYTHON" "$ROOT/datasets/make_demo.py" --out "$images" --num_train 240 --num_test 24 --size 128

small="--load_size 143 --crop_size 128 --print_freq 240"
export CUT_FLAGS="--netG resnet_4blocks --ngf 16 --ndf 16 --netF_nc 64 --num_patches 128 $small
    --lr 0.0004 --n_epochs 2 --n_epochs_decay 1"
export PIX2PIX_FLAGS="--netG unet_128 --ngf 16 --ndf 16 $small --n_epochs 3 --n_epochs_decay 3"
export CLASSIFIER_FLAGS="--netC attention --batch_size 16 --lr 0.002 --n_epochs 20 --n_epochs_decay 20
    --val_freq 40"
export GRADCAM_FLAGS="--netG unet_128 --ngf 16 --ndf 16 $small
    --epoch_count 7 --n_epochs 6 --n_epochs_decay 2"
RECIPE=published "$ROOT/scripts/run_pipeline.sh" "$images"

RECIPE=target "$ROOT/scripts/run_pipeline.sh" "$images"
RESUME=1 "$ROOT/scripts/run_sensor_fit.sh"
for name in mwir_sensor_fit mwir_target_fit mwir_pix2pix mwir_pix2pix_gradcam; do
    translate "$name" --dataroot "$images" --phase truth --dataset_mode aligned --num_test all
done
plain="$RESULTS/mwir_pix2pix/truth_latest" # its real_A is the simulator's view, its real_B the truth
"$PYTHON" "$ROOT/evaluate.py" --real "$plain/images/real_B" \
    --set "simulator" "$plain/images/real_A" "$plain/images/real_B" \
    --set "sensor fit" "$RESULTS/mwir_sensor_fit/truth_latest" \
    --set "target recipe" "$RESULTS/mwir_target_fit/truth_latest" \
    --set "Pix2Pix" "$plain" \
    --set "Pix2Pix + Grad-CAM" "$RESULTS/mwir_pix2pix_gradcam/truth_latest" \
    --classifier "$CHECKPOINTS/mwir_judge/latest_net_classifier.pth" --boxes "$images/labels.csv" \
    --report "$RESULTS/truth"
if [ "${1:-}" = ablation ]; then
    "$ROOT/scripts/run_ablation.sh" "$images"
fi
