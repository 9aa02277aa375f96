"""Parts of LORE's config that nothing feeds or reads are left out."""

from collections.abc import MutableMapping

from mmengine.logging import print_log

# What the head of LORE reads of a White Box, and what stands for none of it.
_HEAD = {'local_channels': 0, 'constraint': None}


def leave_out_unread_parts(cfg: MutableMapping) -> None:
    """Leave out what only a White Box feeds, where there is none.

    So that ``model.backbone.white_box=None`` turns a classifier of LORE into
    the linear probe beside it: the neck and the constraint would train
    nothing, and the head would look for pooled tokens. In the same way
    ``model.head.constraint=None`` leaves the neck out, whose prototypes
    nothing else reads.

    Args:
        cfg (MutableMapping): A config; changed in place.
    """
    model = cfg.get('model')
    if not isinstance(model, MutableMapping):
        return
    backbone, head = model.get('backbone'), model.get('head')
    if not _is(backbone, 'LOREViT') or not _is(head, 'LOREHead'):
        return
    bare = backbone.get('white_box') is None
    left_out = []
    unread = bare or head.get('constraint') is None
    if unread and _is(model.get('neck'), 'KnowledgeLocalityNeck'):
        model['neck'] = None
        left_out.append('neck')
    for key, value in _HEAD.items():
        if bare and head.get(key):
            head[key] = value
            left_out.append(f'head.{key}')
    if left_out:
        why = (
            'white_box=None, the bare Black Box'
            if bare
            else 'constraint=None, no prototypes'
        )
        print_log(f'{why}: left out {", ".join(left_out)}.', logger='current')


def _is(part: object, name: str) -> bool:
    """Whether a part of a config is of the class ``name``."""
    if not isinstance(part, MutableMapping):
        return False
    kind = part.get('type')
    kind = getattr(kind, '__name__', kind)
    return str(kind).rpartition('.')[2] == name
