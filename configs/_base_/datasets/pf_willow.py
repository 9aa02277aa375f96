"""PF-WILLOW: all ordered pairs inside a sub-class, ten key points each.

Images are squashed to a square of ``LORE_IMG_SIZE`` pixels, 224 unless set;
thresholds are in pixels of the original target. The folder is
``data/PF-dataset-WILLOW``, or the environment variable ``PF_WILLOW_ROOT``.
``test_dataloader.dataset.pairs_file`` takes the pairs of a CSV file instead.
"""

data_root = '{{$PF_WILLOW_ROOT:data/PF-dataset-WILLOW}}'
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
        type='lore_mm.PFWillow',
        data_root=data_root,
        pairs_file=None,
        pipeline=test_pipeline,
    ),
)
test_evaluator = dict(
    type='lore_mm.PCK', alphas=(0.05, 0.1, 0.15), not_mutual='drop'
)
test_cfg = dict()
