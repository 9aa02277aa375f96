from types import SimpleNamespace

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmpretrain.models.utils import ClsDataPreprocessor
from mmpretrain.registry import DATASETS
from torch import nn
from torch.utils.data import DataLoader

import lore_mm  # noqa: F401  (registers everything)

SIZE = 16


class StubBlackBox(nn.Module):
    """Pools the image's quarters: 4 patches and CLS, C = 3."""

    def __init__(self, has_projection=False):
        super().__init__()
        self.has_projection = has_projection
        self.out_dims = 4 if has_projection else 3
        generator = torch.Generator().manual_seed(0)
        self.register_buffer('map', torch.randn(3, 4, generator=generator))

    def forward(self, img):
        patches = nn.functional.adaptive_avg_pool2d(img, 2).flatten(2)
        patches = patches.transpose(1, 2)  # (B, 4, 3)
        return torch.cat([patches.mean(1, keepdim=True), patches], dim=1)

    def project(self, cls_token):
        return cls_token @ self.map if self.has_projection else cls_token

    def describe(self):
        return 'StubBlackBox'


class StubBackbone(nn.Module):
    def __init__(self, black_box):
        super().__init__()
        self.black_box = black_box
        self.norm = nn.BatchNorm1d(black_box.out_dims)

    def forward(self, img):
        return self.norm(self.black_box.project(self.black_box(img)[:, 0]))


class StubNeck(nn.Module):
    def __init__(self, class_embeddings, knowledge):
        super().__init__()
        self.register_buffer('class_embeddings', class_embeddings)
        self.knowledge = knowledge


class StubHead(nn.Module):
    def __init__(self, dims, num_classes, bias=True):
        super().__init__()
        self.negative_source = 'black_box'
        self.num_classes = num_classes
        self.fc = nn.Linear(dims, num_classes, bias=bias)

    def forward(self, feats):
        return self.fc(7 * nn.functional.normalize(feats, dim=-1))


class StubClassifier(nn.Module):
    """The parts of ImageClassifier that the hooks touch."""

    def __init__(self, num_classes=3, has_projection=False, bias=True):
        super().__init__()
        self.data_preprocessor = ClsDataPreprocessor(
            mean=[120.0] * 3, std=[60.0] * 3
        )
        self.backbone = StubBackbone(StubBlackBox(has_projection))
        self.neck = None
        self.head = StubHead(
            self.backbone.black_box.out_dims, num_classes, bias
        )

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return self.head(self.backbone(inputs))


def pack(*meta_keys):
    return dict(type='mmpretrain.PackInputs', meta_keys=meta_keys)


LOAD = dict(type='mmcv.LoadImageFromFile')
RESIZE = dict(type='mmcv.Resize', scale=(SIZE, SIZE))
# An augmentation that would spoil the features if it were used.
DARKEN = dict(
    type='mmpretrain.ColorJitter', brightness=0.9, contrast=0.9, hue=0.4
)
TRAIN = [LOAD, DARKEN, RESIZE, pack('sample_idx', 'img_path')]
VAL = [LOAD, RESIZE, pack('sample_idx', 'img_path')]


class Bench(SimpleNamespace):
    """What the tests of the hooks share."""

    TRAIN = TRAIN
    VAL = VAL
    LOAD = LOAD
    RESIZE = RESIZE
    pack = staticmethod(pack)
    Classifier = StubClassifier
    Neck = StubNeck

    @staticmethod
    def folder(root, pipeline=None):
        return dict(
            type='mmpretrain.CustomDataset',
            data_root=str(root),
            with_label=True,
            pipeline=TRAIN if pipeline is None else pipeline,
        )

    @staticmethod
    def runner(train, val=None, model=None, batch_size=4, num_workers=0):
        """A runner's stand-in, at ``before_train``."""
        train = train if not isinstance(train, dict) else DATASETS.build(train)
        loader = DataLoader(
            train,
            batch_size=batch_size,
            shuffle=True,
            num_workers=num_workers,
            collate_fn=pseudo_collate,
        )
        val_loader = None
        if val is not None:
            val_loader = DataLoader(
                DATASETS.build(val), collate_fn=pseudo_collate
            )
        return SimpleNamespace(
            model=model or StubClassifier(),
            train_dataloader=loader,
            val_loop=None if val is None else object(),
            val_dataloader=val_loader,
            iter=0,
            _has_loaded=False,
        )


@pytest.fixture
def bench():
    return Bench
