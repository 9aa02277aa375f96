"""SPair-71k: pairs of images of 18 kinds of objects, as published.

Images are squashed to a square of ``LORE_IMG_SIZE`` pixels, 224 unless set;
thresholds are in pixels of the original target. The folder is
``data/SPair-71k``, or the environment variable ``SPAIR_ROOT``.
"""

data_root = '{{$SPAIR_ROOT:data/SPair-71k}}'
img_size = int('{{$LORE_IMG_SIZE:224}}')

test_pipeline = [
    dict(type='lore_mm.LoadRGBImage'),
    dict(
        type='Resize',
        scale=(img_size, img_size),
        keep_ratio=False,
        backend='pillow',
        interpolation='bicubic',
    ),
    dict(type='PackInputs'),
]
test_dataloader = dict(
    batch_size=16,  # pairs
    num_workers=0,  # each image is read by the matcher, when it is new
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        type='lore_mm.SPair71k',
        data_root=data_root,
        split='test',
        size='large',
        pipeline=test_pipeline,
    ),
)
test_evaluator = dict(
    type='lore_mm.PCK', alphas=(0.05, 0.1, 0.15), not_mutual='drop'
)
test_cfg = dict()
