#!/usr/bin/env bash
# visdom's server, for runs with --display_id 1; only this machine can reach it.
# scripts/visdom.sh [PORT]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
PYTHONPATH="$ROOT" exec "$PYTHON" -P -m training.visdom_server "$@"
