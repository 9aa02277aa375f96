"""Backbones: a frozen ViT with prompts."""

from .lora_vit import LoRAViT
from .lore_vit import LOREFeatures, LOREViT
from .prompted_vit import PromptedViT

__all__ = ['LOREFeatures', 'LOREViT', 'LoRAViT', 'PromptedViT']
