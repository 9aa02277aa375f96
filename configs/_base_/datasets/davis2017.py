"""DAVIS-2017, semi-supervised: 30 videos of the validation split.

The folder is ``data/DAVIS``, or the environment variable ``DAVIS_ROOT``. By
``--cfg-options``: ``test_evaluator.out_dir=FOLDER`` writes masks and tables;
``test_dataloader.dataset.sequences="['dog']"`` takes some videos only;
``test_dataloader.dataset.year=2016`` reads masks of 0 / 255.
"""

test_dataloader = dict(
    batch_size=1,
    num_workers=0,  # frames are read when the model gets to them
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='pseudo_collate'),
    dataset=dict(
        type='lore_mm.DAVISDataset',
        data_root='{{$DAVIS_ROOT:data/DAVIS}}',
        year=2017,
        split='val',
        resolution='480p',
        pipeline=[dict(type='lore_mm.PackVideo')],
    ),
)
test_evaluator = dict(type='lore_mm.DAVISMetric', out_dir=None)
test_cfg = dict()
