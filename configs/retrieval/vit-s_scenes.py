r"""Retrieval of small scenes by ViT-S/14 (DINOv2).

    python tools/test.py configs/retrieval/vit-s_scenes.py CHECKPOINT
    python tools/test.py configs/retrieval/vit-s_scenes.py none \
        --cfg-options model.backbone.white_box=None

The first is LORE, the second the bare Black Box. Folder: ``SCENES_ROOT``.
These images are not shipped; for a folder of your own take
``configs/retrieval/vit-s_folder.py``.
Convention dino: no query crop, long side 224, one scale.
Cost: 101 images, half a minute on two cores.
Figures: docs/retrieval.md.
"""

_base_ = ['./vit-s_folder.py']
test_dataloader = dict(
    dataset=dict(
        data_root='{{$SCENES_ROOT:data/retrieval_scenes}}',
        ann_file='gnd_scenes_homemade.pkl',
    )
)
