#!/usr/bin/env bash
# Lint, format check and tests, in an environment of their own.
#
#   bash tools/run_tests.sh [PYTEST ARGUMENTS]
#
# The first run installs (see tools/make_env.sh for its settings), later ones
# reuse the environment. Files of tests run side by side, one per core; to see
# a single test at work give -n 0.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
bash "$ROOT/tools/make_env.sh"
VENV=$(cd "${LORE_VENV:-$ROOT/.venv-lore}" && pwd)
export PATH="$VENV/bin:$PATH"
unset PYTHON  # was for making the environment
# Tiny models gain nothing from more threads; no test may need a download.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
export HF_HUB_OFFLINE=${HF_HUB_OFFLINE:-1}
export MPLBACKEND=${MPLBACKEND:-Agg}
echo "run_tests: environment ready after $SECONDS s"

cd "$ROOT"
ruff check .
ruff format --check .
exec python -m pytest -n auto --dist loadfile "$@"
