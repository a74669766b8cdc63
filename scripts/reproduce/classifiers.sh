#!/usr/bin/env bash
# What classifiers know at ranges that they have not seen: classifiers.sh DATA_ROOT, which holds
# labels.csv with boxes and ranges of its labelled images. Each network of --netC, RANGES (metres, default
# "1500 3000") held out, SEEDS (default "0 1 2"); what is finished stays, so an interrupted study goes
# on by the same command. Figures are in checkpoints/classifiers/NAME/validation.md.
set -euo pipefail
if [ $# -ne 1 ] || [ ! -d "$1" ]; then
    echo "error: name the folder with the labelled images: classifiers.sh DATA_ROOT" >&2
    exit 2
fi
data_root="$(cd "$1" && pwd)"
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
export CHECKPOINTS="$root/checkpoints/classifiers" RESUME=1
source "$root/scripts/common.sh"
ranges="${RANGES:-1500 3000}"
for seed in ${SEEDS:-0 1 2}; do
    for network in ${NETWORKS:-attention efficientnet_lite0 resnet18}; do
        # RANGES is a list of words by design: unquoted.
        # shellcheck disable=SC2086
        train "${network}_${ranges// /_}_s$seed" --model classifier --netC "$network" \
            --dataroot "$data_root" --hold_out_range $ranges --val_freq 30 --print_freq 952 --no_html --seed "$seed"
    done
done
