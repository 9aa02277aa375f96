"""Vanilla ViT-B/16, AugReg weights of ImageNet-21k, from timm's hub."""

black_box = dict(
    type='lore_mm.TimmBlackBox',
    model_name='vit_base_patch16_224.augreg_in21k',
    pretrained=True,
)
embed_dims = 768
pooled_dims = 2 * embed_dims  # of the preset extended
out_dims = 768  # width of the CLS token that the head reads
data_preprocessor = dict(
    num_classes=None, mean=[127.5] * 3, std=[127.5] * 3, to_rgb=False
)
# Class names are embedded by CLIP's text tower, as in the paper.
knowledge = dict(
    type='lore_mm.OpenCLIPTextEncoder',
    model_name='ViT-B-16-quickgelu',
    pretrained='openai',
)
text_dims = 512
