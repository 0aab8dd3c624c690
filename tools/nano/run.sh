#!/bin/bash
# Trains the nano model on one large GPU (made for an H200). Everything needed is in this folder;
# results go to $OUT.
#   run.sh smoke     about 4 minutes: compiles, trains, profiles, evaluates a little
#   run.sh first     under 10 minutes: the first part; its state stays in /tmp/nano-state
#   run.sh second    under 10 minutes: the rest, evaluation, samples; same machine, right afterwards
#   run.sh continue  the same from the weights in $INIT, when the machine was lost in between
#   run.sh full      all in one process, where a command may take 20 minutes
# TOTAL: seconds of training in the whole schedule. Further arguments go to train.py.
set -o pipefail
HERE="$(cd "$(dirname "$0")" && pwd)"
MODE="${1:-full}"
shift
OUT="${OUT:-$HERE/out}"
TOTAL="${TOTAL:-800}"
INIT="${INIT:-$HERE/../../carry/nano/run1}"
STATE=/tmp/nano-state
export OUT PYTHONUNBUFFERED=1 TOKENIZERS_PARALLELISM=false OMP_NUM_THREADS=4
export TORCHINDUCTOR_CACHE_DIR=/tmp/nano-cache/inductor TRITON_CACHE_DIR=/tmp/nano-cache/triton
mkdir -p "$OUT"
cd "$HERE" || exit 1
nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
ALL=(--batch 12 --total "$TOTAL")
case "$MODE" in
  smoke)    set -- --seconds 150 --total 60 --evals 8 --gen 16 --profile "$@"; LIMIT=270 ;;
  first)    set -- "${ALL[@]}" --seconds 548 --evals 0 --gen 40 --state "$STATE" "$@"; LIMIT=585 ;;
  second)   set -- "${ALL[@]}" --seconds 488 --resume "$STATE" "$@"; LIMIT=588 ;;
  continue) set -- "${ALL[@]}" --seconds 488 --init "$INIT" "$@"; LIMIT=588 ;;
  full)     set -- "${ALL[@]}" --seconds 1150 "$@"; LIMIT=1400 ;;
  *) echo "unknown mode $MODE"; exit 2 ;;
esac
timeout "$LIMIT" python3 train.py --out "$OUT" "$@"
RC=$?
chmod 644 "$OUT"/* 2>/dev/null
echo "rc $RC"; ls -l "$OUT"
exit $RC
