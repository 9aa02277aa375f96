"""Loading for revisited retrieval; the leaf names folder and convention.

Descriptors are kept below ``work_dirs/descriptors`` and used again while
weights, config and images stay the same.
"""

test_pipeline = [
    dict(type='lore_mm.LoadRGBImage'),
    dict(type='lore_mm.RetrievalThumbnail'),
    dict(type='PackInputs', meta_keys=('row', 'img_path', 'img_shape')),
]
test_dataloader = dict(
    batch_size=16,
    num_workers=2,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),  # images differ in size
    dataset=dict(type='lore_mm.RevisitedRetrieval', pipeline=test_pipeline),
)
test_evaluator = dict(type='lore_mm.RevisitedMAP', ks=(1, 5, 10))
test_cfg = dict(
    type='lore_mm.RetrievalTestLoop',
    cache_dir='work_dirs/descriptors',
    descriptor_dtype='float32',
)
