"""OpenAI's CLIP ViT-B/32, from timm's hub; its text tower from open_clip."""

black_box = dict(
    type='lore_mm.TimmBlackBox',
    model_name='vit_base_patch32_clip_quickgelu_224.openai',
    pretrained=True,
)
embed_dims = 768
pooled_dims = 2 * embed_dims  # of the preset extended
out_dims = 512  # width of the projected CLS token
data_preprocessor = dict(
    num_classes=None,
    mean=[122.7709383, 116.7460125, 104.09373615],
    std=[68.5005327, 66.6321579, 70.32316305],
    to_rgb=False,
)
knowledge = dict(
    type='lore_mm.OpenCLIPTextEncoder',
    model_name='ViT-B-32-quickgelu',
    pretrained='openai',
)
text_dims = 512
