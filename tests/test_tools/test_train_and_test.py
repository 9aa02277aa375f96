"""tools/train.py and tools/test.py from the command line."""

import json
import pickle
import re
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

PAGES = Path(__file__).resolve().parents[2] / 'docs'


@pytest.fixture
def work(tmp_path):
    return tmp_path / 'work' / 'tiny'


def final(work, epoch=2):
    return torch.load(work / f'epoch_{epoch}.pth', weights_only=True)


def test_train_then_test(call_tool, tiny_config, work, tmp_path):
    config = tiny_config()
    call_tool('train.py', config)
    log = next(work.glob('*/*.log')).read_text()
    assert 'Epoch(train) [1][3/6]' in log
    assert 'eta: 0:00:' in log
    (best,) = work.glob('best_*.pth')
    out = tmp_path / 'out' / 'metrics.json'
    call_tool('test.py', config, best, '--out', out)
    metrics = json.loads(out.read_text())
    assert set(metrics) == {'accuracy/top1'}
    assert 0 <= metrics['accuracy/top1'] <= 100
    # The config that was written beside the checkpoint does as well, and a
    # test with other options leaves it as it is.
    before = (work / 'tiny.py').read_text()
    option = 'test_dataloader.batch_size=3'
    call_tool('test.py', config, best, '--cfg-options', option)
    assert (work / 'tiny.py').read_text() == before
    again = tmp_path / 'again.json'
    call_tool('test.py', work / 'tiny.py', best, '--out', again)
    assert again.read_text() == out.read_text()
    out = tmp_path / 'pred.pkl'
    call_tool('test.py', config, best, '--out', out, '--out-item', 'pred')
    with out.open('rb') as file:
        assert len(pickle.load(file)) == 3 * 8


@pytest.mark.parametrize(
    'option',
    [
        'model.head.scal=3',
        'optim_wrapper.optimizer.lrr=1',
        'train_cfg.max_epoch=1',
        'train_dataloader.dataset.spilt=a',
        'model.backbone.out_type=cls_token',
        'train_dataloader.dataset.pipeline.1.scale=60',
        'optim_wrapper.optimizer.lr=nan',
    ],
)
def test_what_cannot_train_leaves_a_finished_folder(
    call_tool, fails, tiny_config, work, option
):
    config = tiny_config(train_cfg__max_epochs=1)
    call_tool('train.py', config)
    files = ['tiny.py', 'splits.json', 'epoch_1.pth', 'last_checkpoint']
    before = [(work / name).read_bytes() for name in files]
    fails('train.py', config, '--cfg-options', option)
    assert [(work / name).read_bytes() for name in files] == before
    call_tool('train.py', config, '--cfg-options', 'model.head.scale=3')
    assert 'scale=3' in (work / 'tiny.py').read_text()


def test_a_test_from_elsewhere_leaves_the_config(
    call_tool, tiny_config, work, tmp_path
):
    config = tiny_config(train_cfg__max_epochs=1)
    call_tool('train.py', config)
    moved = (work / 'epoch_1.pth').rename(tmp_path / 'checkpoint.pth')
    before = (work / 'tiny.py').read_text()
    option = 'test_dataloader.dataset.split=train'
    call_tool('test.py', config, moved, '--cfg-options', option)
    assert (work / 'tiny.py').read_text() == before


def test_images_with_their_classes(call_tool, fails, tiny_config, tmp_path):
    shown = tmp_path / 'shown'
    args = ('none', '--show-dir', shown, '--interval', 10)
    bare = tiny_config(model__backbone__white_box=None)
    call_tool('test.py', bare, *args)
    drawn = sorted(path.name for path in shown.iterdir())
    # Images 0, 10 and 20 of 3 * 8.
    assert drawn == ['000.png_0.png', '002.png_0.png', '004.png_0.png']
    config = tiny_config(name='no', default_hooks__visualization=None)
    assert '--show-dir draws the classes' in fails('test.py', config, *args)


def test_a_white_box_without_a_checkpoint(fails, tiny_config):
    message = fails('test.py', tiny_config(), 'none')
    assert 'the White Box is not trained: give a checkpoint' in message


@pytest.mark.parametrize(
    'args,said',
    [
        (['--out', 'a.pkl'], '--out a.pkl: metrics are written as JSON'),
        (['--out-item', 'pred'], '--out-item pred needs --out FILE.pkl'),
        (['--interval', 2], '--interval needs --show-dir'),
        (['--interval', 0, '--show-dir', 'a'], 'must be at least 1, got 0'),
    ],
)
def test_options_that_do_not_go_together(call_tool, capsys, args, said):
    with pytest.raises(SystemExit):
        call_tool('test.py', 'lore/vit-s_textile', 'none', *args)
    assert said in capsys.readouterr().err


def test_test_in_mixed_precision(call_tool, tiny_config, work, tmp_path):
    config = tiny_config()
    call_tool('train.py', config, '--amp')
    assert 'BFloat16OptimWrapper' in final(work)['meta']['cfg']
    scores = {}
    for amp in ((), ('--amp',)):
        out = tmp_path / f'pred{len(amp)}.pkl'
        options = ('--out', out, '--out-item', 'pred')
        call_tool('test.py', config, work / 'epoch_2.pth', *amp, *options)
        with out.open('rb') as file:
            found = pickle.load(file)
        scores[amp] = torch.stack([item['pred_score'] for item in found])
    difference = (scores[()] - scores['--amp',]).abs().max()
    assert 0 < difference < 0.05


def test_options(call_tool, tiny_config, tmp_path):
    work = tmp_path / 'elsewhere'
    call_tool(
        'train.py',
        tiny_config(),
        '--work-dir',
        work,
        '--no-validate',
        '--cfg-options',
        'train_cfg.max_epochs=1',
        'model.backbone.white_box.num_local_prompts=3',
    )
    assert [p.name for p in work.glob('*.pth')] == ['epoch_1.pth']
    assert 'num_local_prompts=3' in final(work, 1)['meta']['cfg']


def test_auto_scale_lr(call_tool, tiny_config, work):
    config = tiny_config(auto_scale_lr=dict(base_batch_size=4))
    call_tool('train.py', config, '--auto-scale-lr')
    group = final(work)['optimizer']['param_groups'][0]
    assert group['initial_lr'] == pytest.approx(0.001 * 8 / 4)


def test_tensorboard_beside_the_log_or_in_its_place(
    call_tool, tiny_config, work
):
    pytest.importorskip('tensorboard')
    page = (PAGES / 'get_started.md').read_text()
    (both,) = re.findall(r'"(visualizer\.vis_backends=.+)"', page)
    (one,) = re.findall(r'`(visualizer\.vis_backends\.0[^`]+)`', page)
    for option, logs in ((both, 1), (one, 0)):
        out = work / str(logs)
        call_tool(
            'train.py',
            tiny_config(),
            '--work-dir',
            out,
            '--cfg-options',
            'train_cfg.max_epochs=1',
            option,
        )
        assert list(out.rglob('events.out.tfevents*'))
        assert len(list(out.rglob('scalars.json'))) == logs


def test_hooks_can_be_switched_off(call_tool, tiny_config, work):
    call_tool(
        'train.py', tiny_config(), '--cfg-options', 'default_hooks.splits=None'
    )
    assert final(work)
    assert not (work / 'splits.json').exists()


@pytest.mark.parametrize(
    'option,said',
    [
        ('modle.head.scale=3', "'modle' (did you mean 'model'?)"),
        ('model.head.scal=3', "argument 'scal' (did you mean 'scale'?)"),
        ('optim_wrapper.optimizer.lrr=1', "'lrr' (did you mean 'lr'?)"),
        ('train_cfg.max_epoch=1', "(did you mean 'max_epochs'?)"),
        ('train_dataloader.dataset.spilt=a', "(did you mean 'split'?)"),
        ('model.type=ImageClasifier', 'ImageClasifier is not in the'),
        ('load_from=gone.pth', 'gone.pth does not exist'),
        ('train_dataloader.dataset.data_root=/gone', '/gone'),
        (
            'model.backbone.black_box.model_name=test_vitt',
            'Names like it: test_vit',
        ),
        ('model.backbone.out_type=cls_token', "set out_type='lore' in"),
        ('model.neck.embed_dims=99', 'embed_dims is 99, but'),
        ('model.head.in_channels=7', 'set in_channels=64'),
        ('optim_wrapper.optimizer.lr=abc', 'lr must be a number'),
        ('train_cfg.val_interval=0', 'val_interval must be a whole number'),
        ('optim_wrapper.optimizer.lr=1e30', 'the loss is not finite at epoch'),
    ],
)
def test_bad_input_ends_in_one_line(fails, tiny_config, option, said):
    config = tiny_config()
    assert said in fails('train.py', config, '--cfg-options', option)


def test_weights_of_another_vit_end_in_one_line(fails, tiny_config, tmp_path):
    path = tmp_path / 'vit.safetensors'
    state = timm.create_model('test_vit').state_dict()
    save_file({**state, 'mask_token': torch.zeros(1)}, path)
    option = f'model.backbone.black_box.checkpoint={path}'
    message = fails('train.py', tiny_config(), '--cfg-options', option)
    assert 'does not fit the model' in message
    assert 'mask_token' in message


@pytest.mark.parametrize('out', ['file/m.json', 'folder'])
def test_place_of_figures_is_checked_first(fails, tiny_config, tmp_path, out):
    (tmp_path / 'file').touch()
    (tmp_path / 'folder').mkdir()
    message = fails(
        'test.py', tiny_config(), 'no.pth', '--out', tmp_path / out
    )
    assert '--out' in message
    assert out.partition('/')[0] in message


def test_bad_files_end_in_one_line(fails, tiny_config, tmp_path):
    (tmp_path / 'a.pth').write_bytes(b'no checkpoint')
    config = tiny_config()
    message = fails('test.py', config, tmp_path / 'a.pth')
    assert 'is no torch checkpoint' in message
    message = fails('test.py', tmp_path / 'tyni.py', 'a.pth')
    assert 'tyni.py' in message
    message = fails('train.py', config, '--work-dir', config / 'run')
    assert 'cannot be written' in message


def test_status_and_message_of_the_process(start_tool, tiny_config):
    result = start_tool(
        'test.py', tiny_config(), 'gone.pth', '--launcher', 'none'
    )
    assert result.returncode == 1
    errors = result.stderr.strip().splitlines()
    assert errors[-1].startswith('error: checkpoint gone.pth does not exist')
    assert 'Traceback' not in result.stderr
