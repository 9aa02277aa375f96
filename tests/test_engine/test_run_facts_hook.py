"""RunFactsHook: numbers of weights, for tables."""

import json
from pathlib import Path


def test_facts_are_written(tiny_runner) -> None:
    hook = dict(type='lore_mm.RunFactsHook')
    runner = tiny_runner(train_cfg__max_epochs=1, default_hooks__facts=hook)
    runner.train()
    facts = json.loads(Path(runner.work_dir, 'facts.json').read_text())
    sizes = [(p.numel(), p.requires_grad) for p in runner.model.parameters()]
    assert facts == dict(
        trained_weights=sum(n for n, trained in sizes if trained),
        all_weights=sum(n for n, _ in sizes),
    )
    assert 0 < facts['trained_weights'] < facts['all_weights']
