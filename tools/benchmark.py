"""Run a grid of methods x data sets x shots x seeds; print its table.

    python tools/benchmark.py configs/benchmark/small.yaml

What is finished is kept and what was cut off is resumed: killed at any point
and started again, the command ends with the same table. Several commands on
one file share the work: each takes runs that no other is at. ``--only
lore/cub/16shot`` keeps runs whose path has these parts; ``--dry-run`` lists
them. ``--processes 4`` trains each run by torchrun on so many GPUs, which
divide its batch among them. The format of the file: docs/benchmark.md.
"""

import argparse
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lore_mm.engine.benchmark import (
    Run,
    load_benchmark,
    plan,
    read_result,
    write_config,
)
from lore_mm.engine.failures import run_main
from lore_mm.engine.launch import write_metrics
from lore_mm.engine.tool_process import ToolError, run_tool, train_and_test
from lore_mm.evaluation.benchmark_tables import Table, to_markdown

TOOLS = Path(__file__).resolve().parent
FACTS = 'default_hooks.facts.type=lore_mm.RunFactsHook'


@contextmanager
def locked(folder: Path, wait: bool) -> Iterator[int | None]:
    """Hold a folder; None if another process does and ``wait`` is no.

    The lock of a run is handed to the tool that trains, so that a run whose
    benchmark was killed is not started twice.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / '.lock').open('w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield None
            return
        yield file.fileno()


def do(run: Run, args: argparse.Namespace, lock: int, env: dict) -> None:
    """Do one run.

    Raises:
        ToolError: Training or testing failed.
        ValueError: Its folder has other settings, or its batch cannot be
            divided among the processes.
    """
    config = write_config(run)
    common = dict(processes=args.processes, env=env, keep_open=[lock])
    options = [*run.options, FACTS]
    if run.kind != 'easy_to_hard':
        train = run.kind == 'train'
        train_and_test(
            TOOLS,
            config,
            run.folder,
            options,
            seed=run.seed,
            amp=run.amp,
            train=train,
            **common,
        )
        return
    command = [config, '--shots', run.shots, '--seed', run.seed]
    command += ['--work-dir', run.folder, '--processes', args.processes]
    command += ['--amp'] if run.amp else []
    log = run.folder / 'easy_to_hard.py.txt'
    common['processes'] = 1  # it starts the others
    run_tool(
        TOOLS / 'easy_to_hard.py',
        [*command, '--cfg-options', *options],
        log,
        **common,
    )


def work(runs: list[Run], args: argparse.Namespace, env: dict) -> list[str]:
    """Do all runs that are missing; returns what failed, in words."""
    failed: list[str] = []
    later: list[Run] = []
    for wait, queue in ((False, runs), (True, later)):
        for run in queue:
            with locked(run.folder, wait) as lock:
                if lock is None:
                    later.append(run)
                    continue
                if read_result(run) is not None:
                    write_config(run)  # compares the settings
                    continue
                print(f'run: {run}', flush=True)
                try:
                    do(run, args, lock, env)
                except ToolError as error:
                    failed.append(f'{run}: {error}')
                    print(f'failed: {failed[-1]}', flush=True)
    return failed


def selected(runs: list[Run], only: list[str]) -> list[Run]:
    """Runs whose path has all parts of one of ``only``.

    Raises:
        ValueError: A choice fits no run.
    """
    if not only:
        return runs
    kept: list[Run] = []
    for choice in only:
        parts = set(choice.strip('/').split('/'))
        fitting = [run for run in runs if parts <= set(run.folder.parts[-4:])]
        if not fitting:
            raise ValueError(f'--only {choice} fits no run of the file.')
        kept += [run for run in fitting if run not in kept]
    return kept


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('file', help='benchmark file, YAML')
    parser.add_argument('--work-dir', type=Path)
    parser.add_argument('--only', nargs='+', default=[], metavar='PATH')
    parser.add_argument('--processes', type=int, default=1)
    parser.add_argument('--dry-run', action='store_true')
    return parser.parse_args()


def environment(spec: dict[str, Any]) -> dict[str, str]:
    """Environment of the runs: the side of the images."""
    env = dict(os.environ)
    if 'img_size' in spec:
        env['LORE_IMG_SIZE'] = str(spec['img_size'])
        # Configs are also read here, to compare settings.
        os.environ['LORE_IMG_SIZE'] = env['LORE_IMG_SIZE']
    paths = [str(TOOLS.parent), env.get('PYTHONPATH', '')]
    env['PYTHONPATH'] = os.pathsep.join(filter(None, paths))
    return env


def main() -> None:
    args = parse_args()
    spec = load_benchmark(args.file)
    work_dir = args.work_dir or Path(
        spec.get('work_dir', Path('work_dirs', Path(args.file).stem))
    )
    env = environment(spec)
    runs = plan(spec, work_dir.resolve())
    chosen = selected(runs, args.only)
    if args.dry_run:
        for run in chosen:
            done = 'done' if read_result(run) is not None else 'missing'
            print(f'{done}: {run}')
        return
    failed = work(chosen, args, env)
    # Commands that share the work may end together: the last one to write
    # must have read all that is done.
    with locked(work_dir, wait=True):
        rows = [row for run in runs if (row := read_result(run)) is not None]
        write_metrics(dict(rows=rows), work_dir / 'results.json')
    print(f'\n{to_markdown(Table.of(spec, rows))}')
    if failed:
        sys.exit('\n'.join(['error: some runs failed:', *failed]))


if __name__ == '__main__':
    run_main(main)
