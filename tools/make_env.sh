#!/usr/bin/env bash
# Make the environment that run_tests.sh and quickstart.sh work in.
#
#   bash tools/make_env.sh [EXTRAS]       EXTRAS: tests,quickstart,export,docs,demo
#
# Nothing happens when it is there and the requirements have not changed.
# Environment variables:
#   LORE_VENV    where to put it, .venv-lore in the checkout
#   PYTHON       the interpreter to make it with, python3
#   TORCH_SPEC   the torch to install, the pair in requirements/tested.txt. For
#                a build without CUDA (a tenth of the download):
#                PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu \
#                TORCH_SPEC='torch==2.14.1+cpu torchvision==0.29.1+cpu'
#   LORE_LATEST  1: the newest versions instead of requirements/tested.txt
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
EXTRAS=${1:-tests,quickstart,export,docs,demo}
VENV=${LORE_VENV:-$ROOT/.venv-lore}
PYTHON=${PYTHON:-python3}
TESTED=$ROOT/requirements/tested.txt
TORCH='^torch(vision)?=='

fail() {
    echo "make_env: $*" >&2
    exit 1
}

[ -f "$ROOT/setup.py" ] || fail "$ROOT is no checkout: it has no setup.py"
command -v "$PYTHON" >/dev/null || fail "no $PYTHON found; set PYTHON"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "$PYTHON is $("$PYTHON" -V 2>&1), need 3.10 or newer; set PYTHON"

if [ ! -e "$VENV/pyvenv.cfg" ]; then
    [ -z "$(ls -A "$VENV" 2>/dev/null)" ] ||
        fail "$VENV is no environment and not empty; set LORE_VENV"
    echo "make_env: creating $VENV" >&2
    "$PYTHON" -m venv "$VENV" ||
        fail "$PYTHON -m venv failed (on Debian: apt install python3-venv)"
fi
PY=$VENV/bin/python
"$PY" -m pip --version >/dev/null 2>&1 ||
    fail "$VENV is broken; delete it and run again"

pins=$(grep -E '^[A-Za-z]' "$TESTED")
if [ "${LORE_LATEST:-0}" = 1 ]; then
    echo 'make_env: newest versions, not those of requirements/tested.txt' >&2
    pins=''
fi
torch=${TORCH_SPEC:-$(grep -E "$TORCH" <<<"$pins" || echo torch torchvision)}

stamp=$("$PY" - "$ROOT" "$EXTRAS" "$torch" "$pins" <<'PYTHON_CODE'
import hashlib
import sys
from pathlib import Path

root = Path(sys.argv[1])
files = sorted(root.glob('requirements/*.txt'))
digest = hashlib.sha256('|'.join([sys.version, *sys.argv]).encode())
for file in [root / 'setup.py', root / 'tools/make_env.sh', *files]:
    digest.update(file.read_bytes())
print(digest.hexdigest())
PYTHON_CODE
)
[ "$(cat "$VENV/lore-stamp" 2>/dev/null)" != "$stamp" ] || exit 0

export PIP_DISABLE_PIP_VERSION_CHECK=1
grep -vE "$TORCH" <<<"$pins" >"$VENV/lore-constraints.txt" || true
if ! "$PY" -c 'import torch, torchvision' 2>/dev/null; then
    echo "make_env: installing" $torch '(several GB with CUDA)' >&2
    # shellcheck disable=SC2086
    "$PY" -m pip install -q -c "$VENV/lore-constraints.txt" $torch ||
        fail 'torch was not installed; see TORCH_SPEC in tools/make_env.sh'
fi
echo "make_env: installing lore_mm[$EXTRAS]" >&2
"$PY" -m pip install -q -c "$VENV/lore-constraints.txt" \
    -e "$ROOT[$EXTRAS]" || fail 'pip failed, its message is above'
echo "$stamp" >"$VENV/lore-stamp"
