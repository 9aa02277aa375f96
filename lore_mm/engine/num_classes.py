"""The number of classes in a config: from the data, not typed in twice."""

from collections.abc import Iterator, MutableMapping, Sequence
from inspect import Parameter, signature

from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, DefaultScope

from .config_keys import ConfigError

_KEY = 'num_classes'
# Parts of a model that are as wide as there are classes.
_PARTS = ('neck', 'head', 'decode_head', 'auxiliary_head', 'data_preprocessor')


def fill_num_classes(cfg: MutableMapping) -> None:
    """Put the data set's number of classes wherever ``num_classes`` is None.

    Looks at neck, heads and data preprocessor. Class names are those of the
    first data set that is on this machine: of training, else of validation,
    else of test.

    Args:
        cfg (MutableMapping): A config; changed in place.

    Raises:
        ConfigError: A number that is given is not that of the data set, or
            one is None and no data set names its classes.
        FileNotFoundError: A number is None and no data set is there; the
            error of the first one.
    """
    parts = dict(_parts(cfg))
    if not parts:
        return
    wanted = [name for name, part in parts.items() if part[_KEY] is None]
    found = _find_classes(cfg, required=bool(wanted))
    if found is None:
        if wanted:
            raise ConfigError(
                f'{wanted[0]}.{_KEY} is None, but no data set names its '
                f'classes; give the number, or metainfo=dict(classes=[...]) '
                f'in train_dataloader.dataset.'
            )
        return
    classes, where = found
    set_num_classes(cfg, len(classes), f'{where}.dataset')


def data_classes(cfg: MutableMapping) -> tuple[str, ...] | None:
    """Class names of the first data set of ``cfg`` that is here, if any."""
    found = _find_classes(cfg, required=False)
    return None if found is None else tuple(map(str, found[0]))


def set_num_classes(cfg: MutableMapping, number: int, where: str) -> None:
    """Put ``number`` wherever ``num_classes`` is None.

    Args:
        cfg (MutableMapping): A config; changed in place.
        number (int): Number of classes.
        where (str): What has so many classes, for the message.

    Raises:
        ConfigError: Another number is given.
    """
    for name, part in _parts(cfg):
        if part[_KEY] is None:
            part[_KEY] = number
        elif part[_KEY] != number:
            raise ConfigError(
                f'{name}.{_KEY} is {part[_KEY]}, but {where} has '
                f'{number} classes; set it to {number}, or to None to take '
                f'it from there.'
            )


def _parts(cfg: MutableMapping) -> Iterator[tuple[str, MutableMapping]]:
    """Parts of the config that have the key, by their dotted names."""
    model = cfg.get('model')
    places = [('', cfg, ('data_preprocessor',))]
    if isinstance(model, MutableMapping):
        places.append(('model.', model, _PARTS))
    for prefix, parent, names in places:
        for name in names:
            part = parent.get(name)
            several = isinstance(part, (list, tuple))
            for i, each in enumerate(part if several else [part]):
                if isinstance(each, MutableMapping) and _KEY in each:
                    yield f'{prefix}{name}{f".{i}" if several else ""}', each


def _find_classes(
    cfg: MutableMapping, required: bool
) -> tuple[Sequence[str], str] | None:
    """Classes, and the data loader whose data set has them."""
    first: FileNotFoundError | None = None
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(name)
        if not isinstance(loader, MutableMapping) or 'dataset' not in loader:
            continue
        try:
            with DefaultScope.overwrite_default_scope(
                cfg.get('default_scope')
            ):
                classes = _classes(loader['dataset'])
        except FileNotFoundError as error:
            first = first or error
            continue
        if classes:
            return classes, name
    if first is not None and required:
        raise first
    return None


def _classes(dataset: object) -> tuple | None:
    """Class names of a data set or its config; read as little as possible."""
    if isinstance(dataset, MutableMapping):
        for inner in ('dataset', 'datasets'):  # wrappers
            if inner in dataset:
                inside = dataset[inner]
                several = isinstance(inside, (list, tuple))
                return _classes(inside[0] if several else inside)
        lazy = {}
        if _can_be_lazy(dataset['type']):
            lazy = dict(lazy_init=True, serialize_data=False)
        dataset = DATASETS.build({**dataset, **lazy})
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    if not classes and hasattr(dataset, 'full_init'):
        dataset.full_init()
        classes = dataset.metainfo.get('classes')
    return classes


def _can_be_lazy(kind: str | type) -> bool:
    """Whether a data set's class takes mmengine's arguments for it."""
    if isinstance(kind, str):
        with DATASETS.switch_scope_and_registry(None) as registry:
            kind = registry.get(kind)
    if kind is None or not issubclass(kind, BaseDataset):
        return False
    parameters = signature(kind).parameters
    passed_on = any(
        each.kind is Parameter.VAR_KEYWORD for each in parameters.values()
    )
    return passed_on or {'lazy_init', 'serialize_data'} <= set(parameters)
