#!/usr/bin/env bash
# The classifier that judges translations: run_judge.sh DATA_ROOT [FLAGS...]. As mwir_classifier, but
# with a --seed one higher, and so other held-out recordings: a judge must not be the teacher.
set -euo pipefail
if [ $# -eq 0 ] || [ ! -d "$1/real" ]; then
    echo "error: name the folder that holds real/: run_judge.sh DATA_ROOT [FLAGS...]" >&2
    exit 2
fi
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
seed=0 # of the teacher, who is trained by the same flags
for ((i = 2; i <= $#; i++)); do
    case "${!i}" in
        --seed) next=$((i + 1)) && seed="${!next:-}" ;;
        --seed=*) seed="${!i#--seed=}" ;;
    esac
done
# What is no number is train.py's to refuse.
[[ ! "$seed" =~ ^[0-9]+$ ]] || seed="$((10#$seed + 1))"
train "${mwir}_judge" --model classifier --dataroot "$1/real" "${@:2}" --seed "$seed"
