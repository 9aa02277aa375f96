"""Write down what a run trains, for tables."""

import json
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from lore_mm.engine.bare_model import bare_model
from lore_mm.engine.files import replace_when_done
from lore_mm.registry import HOOKS

from .run_summary_hook import count_parameters


@HOOKS.register_module()
class RunFactsHook(Hook):
    """Write the numbers of trained and of all weights to the work folder.

    Args:
        filename (str): Name of the JSON file. Defaults to ``'facts.json'``.
    """

    def __init__(self, filename: str = 'facts.json') -> None:
        self.filename = filename

    def before_run(self, runner: Runner) -> None:
        """Count and write; the first process alone."""
        if not is_main_process():
            return
        trained, total = count_parameters(bare_model(runner))
        facts = dict(trained_weights=trained, all_weights=total)
        with replace_when_done(Path(runner.work_dir, self.filename)) as file:
            file.write_text(json.dumps(facts) + '\n')
