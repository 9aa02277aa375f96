#!/usr/bin/env bash
# Test with several processes, on GPUs or, where there are none, on CPU:
#   bash tools/dist_test.sh CONFIG CHECKPOINT PROCESSES [test.py options]
# Over several machines set NNODES, NODE_RANK, MASTER_ADDR and PORT.
set -euo pipefail

if [ $# -lt 3 ]; then
    echo "usage: $0 CONFIG CHECKPOINT PROCESSES [options of tools/test.py]" >&2
    exit 2
fi
CONFIG=$1
CHECKPOINT=$2
PROCESSES=$3
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if [ "${NNODES:-1}" = 1 ]; then
    MEET=(--standalone)  # takes a free port
else
    MEET=(--nnodes "$NNODES" --node_rank "${NODE_RANK:?}"
          --master_addr "${MASTER_ADDR:?}" --master_port "${PORT:-29500}")
fi

# Works from a checkout that is not installed, too.
export PYTHONPATH="$HERE/..${PYTHONPATH:+:$PYTHONPATH}"
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
exec "${PYTHON:-python}" -m torch.distributed.run "${MEET[@]}" \
    --nproc_per_node "$PROCESSES" \
    "$HERE/test.py" "$CONFIG" "$CHECKPOINT" --launcher pytorch "${@:4}"
