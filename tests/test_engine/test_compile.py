"""Training with ``compile`` in the config."""

from collections.abc import Iterator

import pytest
import torch


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
