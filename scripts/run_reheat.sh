#!/usr/bin/env bash
# For simulators that do not know how warm the parts of a vehicle are: what mwir_target_fit makes of
# the simulated vehicles, reheated by a network that has learnt to bring real vehicles back from
# random temperatures. Train, then translate test images. Flags are passed through.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
name="${mwir}_reheat" data="$DATASETS/${mwir}_sim2cut"
train "$name" --model pix2pix --dataset_mode randomized --sensor "${mwir}_target_fit" \
    --dataroot "$data" --preprocess crop --crop_size 64 --batch_size 8 --netG resnet_4blocks \
    --normG batch --no_dropout --lambda_box 20 --lambda_GAN 0.3 "$@"
translate "$name" --dataroot "$data" --num_test all "$@"
