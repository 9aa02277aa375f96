"""tools/benchmark.py: killed and started again, shared, failing.

Stand-ins for train.py and test.py leave what the real ones leave, at once;
that a real training which was cut off ends as if it had not been is in
test_resume.py.
"""

import fcntl
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
TRAIN = """
import json, os, sys, time
from pathlib import Path
args = sys.argv
work = Path(args[args.index('--work-dir') + 1])
work.mkdir(parents=True, exist_ok=True)
if os.environ.get('FAIL', 'none') in str(work):
    sys.exit('error: told to fail')
note = work / 'epochs.json'
done = json.loads(note.read_text()) if note.is_file() else []
with open(os.environ['NOTES'], 'a') as file:
    file.write(f'{work.parts[-4:]} from {len(done)}\\n')
for epoch in range(len(done), 4):
    time.sleep(float(os.environ.get('SLEEP', 0)))
    done.append(epoch)
    note.write_text(json.dumps(done))
facts = dict(trained_weights=len(str(args[1])))
(work / 'facts.json').write_text(json.dumps(facts))
(work / 'best_accuracy_top1_epoch_3.pth').write_text(
    str(sum(done)) + args[args.index('--seed') + 1])
"""
TEST = """
import json, sys
from pathlib import Path
args = sys.argv
found = Path(args[2]).read_text() if args[2] != 'none' else '5'
out = Path(args[args.index('--out') + 1])
out.parent.mkdir(parents=True, exist_ok=True)
out.write_text(json.dumps({'accuracy/top1': float(found)}))
"""


class Bench:
    """A copy of the tools with stand-ins, and a benchmark file."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture) -> None:
        self.root, self.notes = root, root / 'notes.txt'
        self.capsys = capsys
        self.tools = root / 'tools'
        self.tools.mkdir()
        shutil.copy(CHECKOUT / 'tools/benchmark.py', self.tools)
        (self.tools / 'train.py').write_text(TRAIN)
        (self.tools / 'test.py').write_text(TEST)
        self.file = root / 'bench.yaml'
        self.write()

    def write(self, **changes) -> None:
        spec = dict(
            title='two methods',
            work_dir='work',
            black_box='vit-s14',
            shots=[4],
            seeds=[0, 1],
            data_sets=dict(dtd=dict(title='DTD')),
            methods=dict(
                lore=dict(config='lore/vit-s_cub', title='LORE'),
                probe=dict(config='baselines/linear_vit-s_cub'),
            ),
        )
        self.file.write_text(yaml.safe_dump({**spec, **changes}))

    def environment(self, **env: str) -> dict[str, str]:
        paths = [str(CHECKOUT), os.environ.get('PYTHONPATH', '')]
        path = os.pathsep.join(filter(None, paths))
        return {'PYTHONPATH': path, 'NOTES': str(self.notes), **env}

    def start(self, *args: str, **env: str) -> subprocess.Popen:
        """In a process of its own."""
        return subprocess.Popen(
            [sys.executable, self.tools / 'benchmark.py', 'bench.yaml', *args],
            cwd=self.root,
            env={**os.environ, **self.environment(**env)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *args: str, **env: str) -> tuple[object, str]:
        """In this process; the code it ends with, and what it prints."""
        code: object = 0
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.root)
            for key, value in self.environment(**env).items():
                patch.setenv(key, value)
            argv = ['benchmark.py', 'bench.yaml', *args]
            patch.setattr(sys, 'argv', argv)
            try:
                runpy.run_path(
                    str(self.tools / 'benchmark.py'), run_name='__main__'
                )
            except SystemExit as ended:
                code = ended.code
        return code, self.capsys.readouterr().out

    def trained(self) -> list[str]:
        """What was trained since the last call."""
        lines = self.notes.read_text().splitlines()
        self.notes.unlink()
        return lines


@pytest.fixture
def bench(tmp_path, capsys) -> Bench:
    return Bench(tmp_path, capsys)


def table(out: str) -> list[str]:
    return [line for line in out.splitlines() if line.startswith('|')]


def wait_for(file: Path) -> None:
    for _ in range(2400):  # a busy machine takes half a minute to import
        if file.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f'{file} never came')


def test_killed_and_started_again(bench) -> None:
    process = bench.start(SLEEP='0.3')
    # In the midst of the second run.
    wait_for(bench.root / 'work/probe/dtd/4shot/seed0/epochs.json')
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    code, out = bench.run()
    assert code == 0
    first = bench.trained()
    assert first[0] == "('lore', 'dtd', '4shot', 'seed0') from 0"
    assert (
        sum("'lore', 'dtd', '4shot', 'seed0'" in line for line in first) == 1
    )
    resumed = [line for line in first if "'probe'" in line and 'seed0' in line]
    assert len(resumed) == 2
    assert not resumed[1].endswith('from 0')
    found = (bench.root / 'work/results.json').read_text()
    shutil.rmtree(bench.root / 'work')
    code, undisturbed = bench.run()
    assert code == 0
    assert table(out) == table(undisturbed)
    assert len(table(out)) == 4
    assert (bench.root / 'work/results.json').read_text() == found
    bench.trained()
    code, again = bench.run()
    assert table(again) == table(out)
    assert not bench.notes.exists()


def test_failure_lets_the_others_run(bench) -> None:
    code, _ = bench.run(FAIL='lore/dtd/4shot/seed1')
    assert code.startswith(
        'error: some runs failed:\nlore, dtd, 4 shots, 1: train.py failed'
    )
    assert 'told to fail' in code
    rows = json.loads((bench.root / 'work/results.json').read_text())['rows']
    assert len(rows) == 3
    bench.trained()
    assert bench.run()[0] == 0
    assert len(bench.trained()) == 1


def test_choices_of_runs(bench) -> None:
    bench.write(
        methods=dict(
            zero=dict(config='baselines/zero-shot_clip-b16_cub', kind='test'),
            probe=dict(config='baselines/linear_vit-s_cub'),
        )
    )
    code, out = bench.run('--only', 'probe/seed1', 'zero', '--dry-run')
    assert code == 0
    assert out.splitlines() == [
        'missing: probe, dtd, 4 shots, 1',
        'missing: zero, dtd, 0 shots, 0',
    ]
    code, out = bench.run('--only', 'zero')
    assert '| 0 | zero |  | 5.00 | 5.00 |' in out
    assert not bench.notes.exists()
    code, _ = bench.run('--only', 'prob')
    assert code == 'error: --only prob fits no run of the file.'


def test_other_settings_are_refused(bench) -> None:
    assert bench.run()[0] == 0
    folder = bench.root / 'work/lore/dtd/4shot/seed0'
    config = (folder / 'config.py').read_text()
    bench.write(options={'model.head.scale': 3}, black_box='vit-b16_augreg')
    code, _ = bench.run()
    assert (folder / 'config.py').read_text() == config
    bench.write(options={'model.head.scale': 3})
    code, _ = bench.run()
    assert 'was made with other settings (options.' in code
    assert 'delete it to run it anew' in code


def test_two_commands_share_the_work(bench) -> None:
    other = bench.start(SLEEP='0.5')
    wait_for(bench.root / 'work/lore/dtd/4shot/seed0/epochs.json')
    code, out = bench.run(SLEEP='0.5')
    theirs, _ = other.communicate(timeout=120)
    assert (code, other.returncode) == (0, 0), theirs
    assert len(bench.trained()) == 4
    assert table(out) == table(theirs)


def test_results_are_written_by_one_command_at_a_time(bench) -> None:
    results = bench.root / 'work/results.json'
    results.parent.mkdir()
    with (results.parent / '.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = bench.start()
        last = bench.root / 'work/probe/dtd/4shot/seed1'
        wait_for(last / 'metrics.json')
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        assert not results.exists()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    assert len(json.loads(results.read_text())['rows']) == 4
