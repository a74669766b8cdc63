#!/usr/bin/env bash
# ResNet-18 on the labelled real images: run_classifier.sh DATA_ROOT [FLAGS...]
set -euo pipefail
if [ $# -eq 0 ] || [ ! -d "$1/real" ]; then
    echo "error: name the folder that holds real/: run_classifier.sh DATA_ROOT [FLAGS...]" >&2
    exit 2
fi
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
train "${mwir}_classifier" --model classifier --dataroot "$1/real" "${@:2}"
