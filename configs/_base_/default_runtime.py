"""What every run shares: hooks, files, logs, processes."""

default_scope = 'mmpretrain'
custom_imports = dict(imports=['lore_mm'], allow_failed_imports=False)

# Checks the config's keys; reads and writes checkpoints safely.
runner_type = 'lore_mm.LORERunner'

# Hooks of this package stand here and not in `custom_hooks`, so that a config
# with hooks of its own keeps them.
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=10),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='lore_mm.SafeCheckpointHook',
        interval=1,
        max_keep_ckpts=1,
        save_last=True,
        save_best='accuracy/top1',
        rule='greater',
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='VisualizationHook', enable=False),
    epoch_seed=dict(type='lore_mm.EpochSeedHook'),
    splits=dict(type='lore_mm.SplitRecordHook'),
    finite_loss=dict(type='lore_mm.FiniteLossHook'),
    summary=dict(type='lore_mm.RunSummaryHook'),
    # These do nothing for a model that has no use for them.
    class_embedding=dict(type='lore_mm.ClassEmbeddingHook'),
    negative_label=dict(type='lore_mm.NegativeLabelHook'),
    trained_weights=dict(type='lore_mm.TrainedWeightsHook'),
    white_box_check=dict(type='lore_mm.WhiteBoxCheckHook'),
)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),  # gloo where there is no GPU
)

# For TensorBoard or Weights & Biases add in a config of your own
# dict(type='TensorboardVisBackend') or dict(type='WandbVisBackend',
# init_kwargs=dict(project='lore')), or by --cfg-options; see
# docs/get_started.md.
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='UniversalVisualizer', vis_backends=vis_backends)

log_level = 'INFO'
load_from = None
resume = False
randomness = dict(seed=0, deterministic=False)
