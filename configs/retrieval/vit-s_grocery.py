r"""Product retrieval on Grocery Store by ViT-S/14 (DINOv2).

    python tools/test.py configs/retrieval/vit-s_grocery.py CHECKPOINT
    python tools/test.py configs/retrieval/vit-s_grocery.py none \
        --cfg-options model.backbone.white_box=None

The first is LORE, the second the bare Black Box. Folder: ``GROCERY_ROOT``;
``tools/dataset_converters/make_grocery_gnd.py`` writes its ground truth.
Database: training images; queries: every fourth test image; all are easy.
Convention dino: no query crop, long side 224, one scale.
Cost: 394 images, two minutes on two cores.
Figures: docs/retrieval.md.
"""

_base_ = ['./vit-s_folder.py']
test_dataloader = dict(
    dataset=dict(
        data_root='{{$GROCERY_ROOT:data/GroceryStoreDataset}}',
        img_dir='dataset',
        ann_file='gnd_grocery.json',
    )
)
