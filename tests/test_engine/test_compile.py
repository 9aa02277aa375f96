"""Training with ``compile`` in the config."""

from collections.abc import Iterator

import pytest
import torch
from mmpretrain.structures import DataSample
from torch._dynamo.testing import CompileCounter

from lore_mm.engine.hooks import NegativeLabelHook
from lore_mm.models import LOREFeatures, LOREHead


@pytest.fixture(autouse=True)
def _nothing_compiled() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def test_groups_of_the_optimizer_can_be_traced(tiny_runner):
    runner = tiny_runner(
        compile=dict(backend='eager'),
        train_cfg__max_epochs=1,
        train_dataloader__batch_size=24,
        optim_wrapper__constructor='lore_mm.TrainedOptimWrapperConstructor',
        optim_wrapper__optimizer__weight_decay=0.05,
        optim_wrapper__paramwise_cfg=dict(
            flat_decay_mult=0.0, custom_keys=dict(head=dict(lr_mult=10.0))
        ),
    )
    before = runner.model.head.fc.weight.detach().clone()
    runner.train()
    assert not torch.equal(runner.model.head.fc.weight, before)


class Table:
    """Stands in for the predictions, which the images' numbers are here."""

    def find(self, found: dict) -> int:
        return found['sample_idx'] % 3


def test_other_negative_labels_do_not_compile_anew():
    hook = NegativeLabelHook()
    hook._table = Table()
    head = LOREHead(
        3, 5, constraint=dict(type='lore_mm.PrototypeConstraintLoss')
    )
    counter = CompileCounter()
    step = torch.compile(head.loss, backend=counter)
    counts = []
    for labels in torch.cartesian_prod(*[torch.arange(3)] * 4)[::8]:
        samples = [
            DataSample(metainfo=dict(sample_idx=label)).set_gt_label(0)
            for label in labels.tolist()
        ]
        hook.before_train_iter(None, 0, dict(data_samples=samples))
        features = LOREFeatures(
            torch.randn(4, 5),
            latent=torch.randn(4, 6),
            prototypes=torch.randn(4, 3, 6),
        )
        step(features, samples)
        counts.append(counter.frame_count)
    assert len(counts) > 10
    assert 0 < counts[0] == counts[-1]
