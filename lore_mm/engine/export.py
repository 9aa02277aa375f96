"""The whole network as one file: ONNX or a torch.export archive."""

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn

from lore_mm.version import __version__

from .export_module import ExportError, ExportModule, torch_runner
from .files import replace_when_done

SUFFIXES = {'onnx': '.onnx', 'torch': '.pt2'}

INPUT_NAME = 'images'
# What a file tells of itself, as JSON under this name.
FACTS_NAME = 'lore_mm'
_OPSET = 18


def export_model(
    model: BaseModel,
    target: str | Path,
    kind: str,
    img_size: tuple[int, int],
    output: str = 'logits',
    batch_sizes: Sequence[int] = (1, 2, 5),
    tolerance: float = 1e-4,
    resize: Mapping | None = None,
) -> dict[int, float]:
    """Write a network to a file, once the file gives what PyTorch gives.

    The file takes ``images``: RGB, (B, 3, H, W), float32 values 0..255, any
    number of them; normalisation is inside. It tells of itself (output, size,
    resizing, class names) as JSON under ``lore_mm``: in ONNX's metadata, or
    among the extra files of a ``.pt2``.

    Args:
        model (BaseModel): See :class:`ExportModule`.
        target (str | Path): The file. Its folder is made.
        kind (str): ``onnx``, or ``torch`` for a ``.pt2`` archive of
            :mod:`torch.export`.
        img_size (tuple[int, int]): Height and width of the images.
        output (str): One of ``OUTPUTS``. Defaults to ``'logits'``.
        batch_sizes (Sequence[int]): The file is run with so many images each.
        tolerance (float): Largest difference of an output value allowed.
        resize (Mapping, optional): How photos become images, see
            :func:`~lore_mm.engine.export_resize.resize_facts`; for the file
            to tell.

    Returns:
        dict[int, float]: The largest difference for each batch size.

    Raises:
        ExportError: The model cannot be exported, a package is missing, or
            the file gives other values. Nothing is written then.
        ValueError: The size is no multiple of the patch.
    """
    target = Path(target)
    if kind not in SUFFIXES or target.suffix != SUFFIXES[kind]:
        raise ExportError(
            f'a file of the format {kind!r} must end in one of '
            f'{tuple(SUFFIXES.items())}, got {str(target)!r}.'
        )
    module = ExportModule(model, output, img_size)
    facts = {**_facts(model, output, img_size), 'resize': resize}
    target.parent.mkdir(parents=True, exist_ok=True)
    write = _write_onnx if kind == 'onnx' else _write_torch
    # One image would be taken for a constant.
    example = random_images(2, img_size, seed=0)
    with replace_when_done(target) as temp:
        write(module, example, temp, facts)
        found = compare(
            torch_runner(model, output),
            load_exported(temp, kind),
            batch_sizes,
            img_size,
        )
        worst = max(found, key=found.get)
        # Written so that NaN is no success.
        if not all(gap <= tolerance for gap in found.values()):
            raise ExportError(
                f'the exported model differs from PyTorch by '
                f'{found[worst]:.2g} at batch size {worst}, more than '
                f'{tolerance:g}; nothing was written.'
            )
    return found


def _facts(model: BaseModel, output: str, img_size: tuple[int, int]) -> dict:
    """What a file tells of itself."""
    classes = getattr(model, 'dataset_meta', {}).get('classes', ())
    return dict(
        version=__version__,
        output=output,
        img_size=list(img_size),
        input='RGB (B, 3, H, W), float32, values 0..255',
        classes=list(classes) if output == 'logits' else [],
    )


def load_exported(
    path: str | Path, kind: str, threads: int | None = None
) -> Callable[[Tensor], Tensor]:
    """A function of images (B, 3, H, W) that runs an exported file.

    Args:
        path (str | Path): The file.
        kind (str): ``onnx`` or ``torch``.
        threads (int, optional): Of ONNX Runtime. Defaults to PyTorch's.
    """
    if kind == 'torch':
        with Path(path).open('rb') as file:  # a path must end in .pt2
            program = torch.export.load(file).module()
        return torch.inference_mode()(program)
    onnxruntime = _need('onnxruntime')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(path), options, providers=['CPUExecutionProvider']
    )

    def run(images: Tensor) -> Tensor:
        (out,) = session.run(None, {INPUT_NAME: images.numpy()})
        return torch.from_numpy(out)

    return run


def compare(
    wanted: Callable[[Tensor], Tensor],
    other: Callable[[Tensor], Tensor],
    batch_sizes: Sequence[int],
    img_size: tuple[int, int],
) -> dict[int, float]:
    """Largest difference of two networks for each batch size.

    Raises:
        ExportError: Their outputs differ in shape.
    """
    found = {}
    for number in batch_sizes:
        images = random_images(number, img_size, seed=number)
        one, two = wanted(images), other(images)
        if one.shape != two.shape:
            raise ExportError(
                f'the exported model gives {tuple(two.shape)} for {number} '
                f'images, PyTorch {tuple(one.shape)}.'
            )
        found[number] = float((one - two).abs().max())
    return found


def random_images(number: int, img_size: tuple[int, int], seed: int) -> Tensor:
    """Coarse patterns with fine noise, (B, 3, H, W), values 0..255."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(number, 3, 8, 8, generator=generator)
    coarse = nn.functional.interpolate(coarse, img_size, mode='bilinear')
    fine = torch.rand(number, 3, *img_size, generator=generator)
    return (255 * (0.8 * coarse + 0.2 * fine)).round()


def _program(
    module: ExportModule, example: Tensor
) -> torch.export.ExportedProgram:
    """The recorded graph, for any number of images."""
    batch = torch.export.Dim('batch', min=1)
    with torch.no_grad():
        return torch.export.export(
            module, (example,), dynamic_shapes={INPUT_NAME: {0: batch}}
        )


def _write_torch(
    module: ExportModule, example: Tensor, path: Path, facts: dict
) -> None:
    # torch.export.save insists on the suffix.
    with path.open('wb') as file:
        torch.export.save(
            _program(module, example),
            file,
            extra_files={FACTS_NAME: json.dumps(facts)},
        )


def _write_onnx(
    module: ExportModule, example: Tensor, path: Path, facts: dict
) -> None:
    onnx = _need('onnx')
    _need('onnxscript')
    program = torch.onnx.export(
        _program(module, example),
        (),
        input_names=[INPUT_NAME],
        output_names=[facts['output']],
        opset_version=_OPSET,
        dynamo=True,
        verbose=False,
        external_data=False,
    )
    model = program.model_proto
    entry = model.metadata_props.add()
    entry.key, entry.value = FACTS_NAME, json.dumps(facts)
    onnx.save(model, path)


def _need(name: str) -> object:
    """Import a package of the extra ``export``.

    Raises:
        ExportError: It is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ExportError(
            f'this needs the package {name!r}: pip install "lore_mm[export]".'
        ) from error
