"""Hooks."""

from .class_embedding_hook import ClassEmbeddingHook
from .epoch_seed_hook import EpochSeedHook
from .finite_loss_hook import FiniteLossHook, InvalidLossError
from .head_warm_start_hook import HeadWarmStartHook
from .negative_label_hook import NegativeLabelHook
from .norm_statistics_hook import NormStatisticsHook
from .prompt_start_hook import PromptStartHook
from .run_facts_hook import RunFactsHook
from .run_summary_hook import RunSummaryHook
from .safe_checkpoint_hook import SafeCheckpointHook
from .split_record_hook import SplitRecordHook
from .text_head_hook import TextHeadHook
from .trained_weights_hook import TrainedWeightsHook
from .white_box_check_hook import WhiteBoxCheckHook

__all__ = [
    'ClassEmbeddingHook',
    'EpochSeedHook',
    'FiniteLossHook',
    'HeadWarmStartHook',
    'InvalidLossError',
    'NegativeLabelHook',
    'NormStatisticsHook',
    'PromptStartHook',
    'RunFactsHook',
    'RunSummaryHook',
    'SafeCheckpointHook',
    'SplitRecordHook',
    'TextHeadHook',
    'TrainedWeightsHook',
    'WhiteBoxCheckHook',
]
