"""Each inferencer of a task refuses the configs of the others."""

import re

import pytest
import torch

from lore_mm.apis import (
    CorrespondenceInferencer,
    RetrievalInferencer,
    VideoSegmentationInferencer,
)
from lore_mm.engine.config_file import read_config_file

TASKS = dict(
    correspondence=(
        CorrespondenceInferencer,
        'vit-s_pf-willow',
        'a KeypointMatcher',
    ),
    retrieval=(RetrievalInferencer, 'vit-s_scenes', 'an ImageRetriever'),
    vos=(VideoSegmentationInferencer, 'vit-s_davis2017', 'a LabelPropagator'),
)


@pytest.mark.parametrize('other', TASKS)
@pytest.mark.parametrize('task', TASKS)
def test_configs_of_other_tasks_are_refused(task, other):
    infer, _, wanted = TASKS[task]
    _, name, got = TASKS[other]
    cfg = read_config_file(f'{other}/{name}')
    box = dict(checkpoint=None, img_size=56, embed_dim=32, depth=1)
    cfg.model.backbone.black_box.update(box, num_heads=2)
    if task == other:
        assert isinstance(infer(cfg).model, torch.nn.Module)
        return
    message = (
        f'the model of the config must be {wanted}, got {got.split()[1]}; '
        f'take a config of configs/{task}.'
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        infer(cfg)
