"""The hook in real runs: both loops, workers, the real LORE model."""

import json

import open_clip
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from safetensors.torch import save_file

SIZE = 32
LOAD = dict(type='LoadImageFromFile')
STEPS = [dict(type='Resize', scale=(SIZE, SIZE)), dict(type='PackInputs')]
FLIP = dict(type='RandomFlip', prob=0.5)
NAMES = ('class_0', 'class_1', 'class_2')


class Recorder(Hook):
    """Labels that reach the model, by image path."""

    priority = 'LOWEST'

    def __init__(self):
        self.labels = {}
        self.count = 0

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        for sample in data_batch['data_samples']:
            self.labels[sample.img_path] = int(sample.negative_label)
            self.count += 1


def lore(black_box, in_channels, knowledge, text_dims, mean, std):
    return dict(
        type='ImageClassifier',
        data_preprocessor=dict(mean=mean, std=std, to_rgb=True),
        backbone=dict(
            type='lore_mm.LOREViT',
            black_box=black_box,
            white_box=dict(type='lore_mm.WhiteBox', preset='released'),
            out_type='lore',
        ),
        neck=dict(
            type='lore_mm.KnowledgeLocalityNeck',
            num_classes=3,
            embed_dims=64,
            text_dims=text_dims,
            knowledge=knowledge,
            top=3,
        ),
        head=dict(
            type='lore_mm.LOREHead',
            num_classes=3,
            in_channels=in_channels,
            constraint=dict(type='lore_mm.PrototypeConstraintLoss'),
        ),
    )


def train(model, root, work_dir, train_cfg, num_workers):
    """Train shortly; the model and what the recorder saw."""

    def loader(pipeline, shuffle):
        return dict(
            batch_size=4,
            num_workers=num_workers,
            sampler=dict(type='DefaultSampler', shuffle=shuffle),
            collate_fn=dict(type='default_collate'),
            dataset=dict(
                type='CustomDataset',
                data_root=str(root),
                pipeline=pipeline,
            ),
        )

    recorder = Recorder()
    runner = Runner.from_cfg(
        Config(
            dict(
                model=model,
                default_scope='mmpretrain',
                experiment_name=work_dir.parent.name,
                work_dir=str(work_dir),
                train_cfg=train_cfg,
                train_dataloader=loader([LOAD, FLIP, *STEPS], True),
                val_cfg=dict(),
                val_dataloader=loader([LOAD, *STEPS], False),
                val_evaluator=dict(type='Accuracy'),
                optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-3)),
                default_hooks=dict(checkpoint=None),
                custom_hooks=[
                    dict(type='lore_mm.NegativeLabelHook'),
                    dict(type='lore_mm.ClassEmbeddingHook'),
                    dict(type='lore_mm.HeadWarmStartHook'),
                ],
            )
        )
    )
    runner.register_hook(recorder)
    runner.train()
    if not train_cfg['by_epoch']:
        # Collected with the runner, its loading processes would be waited for.
        del runner.train_loop.dataloader_iterator
    return runner, recorder


def images_of(runner):
    """All training images without augmentation, their paths and labels."""
    dataset = runner.val_dataloader.dataset
    items = [dataset[i] for i in range(len(dataset))]
    batch = dict(
        inputs=[item['inputs'] for item in items],
        data_samples=[item['data_samples'] for item in items],
    )
    samples = batch['data_samples']
    paths = [sample.img_path for sample in samples]
    labels = torch.tensor([int(sample.gt_label) for sample in samples])
    img = runner.model.data_preprocessor(batch)['inputs']
    return img, paths, labels


@pytest.mark.parametrize(
    'train_cfg, num_workers, count',
    [
        (dict(by_epoch=True, max_epochs=2), 2, 24),
        (dict(by_epoch=False, max_iters=4, val_interval=4), 2, 16),
        (dict(by_epoch=True, max_epochs=1), 0, 12),
    ],
    ids=['epochs', 'iterations', 'no workers'],
)
def test_class_mean(
    tiny_image_folder, tmp_path, train_cfg, num_workers, count
):
    root = tiny_image_folder(num_classes=3, per_class=4, size=SIZE)
    model = lore(
        dict(type='lore_mm.TimmBlackBox', model_name='test_vit'),
        64,
        dict(type='lore_mm.RandomTextEncoder', embed_dims=8),
        8,
        [120.0] * 3,
        [60.0] * 3,
    )
    runner, recorder = train(
        model, root, tmp_path / 'run', train_cfg, num_workers
    )
    img, paths, labels = images_of(runner)
    with torch.no_grad():
        cls_token = runner.model.backbone.black_box(img)[:, 0]
    rows = torch.nn.functional.normalize(cls_token, dim=-1)
    means = torch.stack([rows[labels == k].mean(0) for k in range(3)])
    similarity = torch.cosine_similarity(rows[:, None], means[None], -1)
    expected = dict(zip(paths, similarity.argmax(1).tolist(), strict=True))
    assert recorder.count == count
    assert recorder.labels.items() <= expected.items()
    losses = runner.message_hub.get_scalar('train/loss_kp').data[0]
    assert len(losses) == count // 4


@pytest.fixture
def clip(tmp_path):
    """A tiny CLIP of random weights and its checkpoint."""
    config = dict(
        embed_dim=12,
        vision_cfg=dict(image_size=SIZE, layers=2, width=64, patch_size=8),
        text_cfg=dict(
            context_length=77, vocab_size=49408, width=16, heads=2, layers=1
        ),
    )
    file = tmp_path / 'lore-tiny-clip.json'
    file.write_text(json.dumps(config))
    open_clip.add_model_config(file)
    torch.manual_seed(0)
    model = open_clip.create_model('lore-tiny-clip').eval()
    save_file(model.state_dict(), tmp_path / 'clip.safetensors')
    return model, str(tmp_path / 'clip.safetensors')


def test_zero_shot_is_that_of_clip(
    clip, tiny_image_folder, tmp_path, monkeypatch
):
    monkeypatch.setenv('LORE_CACHE', str(tmp_path / 'cache'))
    root = tiny_image_folder(num_classes=3, per_class=4, size=SIZE)
    source = dict(model_name='lore-tiny-clip', checkpoint=clip[1])
    model = lore(
        dict(type='lore_mm.OpenCLIPBlackBox', **source),
        12,
        dict(type='lore_mm.OpenCLIPTextEncoder', **source),
        12,
        [120.0] * 3,
        [60.0] * 3,
    )
    train_cfg = dict(by_epoch=True, max_epochs=1)
    runner, recorder = train(model, root, tmp_path / 'run', train_cfg, 0)
    img, paths, _ = images_of(runner)
    texts = [f'This is a photo of a {name}.' for name in NAMES]
    texts = [text.replace('_', ' ') for text in texts]
    with torch.no_grad():
        logits, _ = clip[0].get_logits(
            img, open_clip.get_tokenizer('lore-tiny-clip')(texts)
        )
    expected = dict(zip(paths, logits.argmax(1).tolist(), strict=True))
    assert recorder.labels == expected
