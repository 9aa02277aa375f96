"""Measuring runs side by side: time in turn, ratios within a round, memory."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch


def seconds(run: Callable[[], object], device: str = 'cpu') -> float:
    """Wall time of one call; waits for the GPU with ``device='cuda'``."""
    if device == 'cuda':
        torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    if device == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter() - start


def in_turn(
    runs: dict[str, Callable[[], object]], rounds: int, device: str = 'cpu'
) -> dict[str, list[float]]:
    """Seconds of every run, each once per round, after a warm-up round.

    A machine whose speed drifts does not favour a run that way.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for index in range(rounds + 1):
        for name, run in runs.items():
            spent = seconds(run, device)
            if index:
                times[name].append(spent)
    return times


def time_ratio(times: dict[str, list[float]], name: str, base: str) -> float:
    """Median over rounds of the time of ``name`` over that of ``base``."""
    pairs = zip(times[name], times[base], strict=True)
    return statistics.median(t / b for t, b in pairs)


def extra_memory(run: Callable[[], object]) -> float:
    """Peak memory (MB) of a call above what the process held before.

    Linux only: the peak is reset through ``/proc``.
    """
    Path('/proc/self/clear_refs').write_text('5')
    before = _status_kb('VmRSS')
    run()
    return (_status_kb('VmHWM') - before) / 1024


def _status_kb(key: str) -> int:
    """A value in kB of this process's ``/proc`` status."""
    for line in Path('/proc/self/status').read_text().splitlines():
        name, _, value = line.partition(':')
        if name == key:
            return int(value.split()[0])
    raise RuntimeError(f'/proc/self/status has no {key!r}.')


def markdown(rows: list[dict]) -> str:
    """Rows of equal keys as a Markdown table; None is an empty cell."""
    lines = ['| ' + ' | '.join(rows[0]) + ' |', '|' + '---|' * len(rows[0])]
    for row in rows:
        cells = [
            f'{v:.3g}' if isinstance(v, float) else str('' if v is None else v)
            for v in row.values()
        ]
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)
