"""Text templates by data set, as data for configs."""

DEFAULT_TEMPLATE = 'This is a photo of a {}.'

# LORE's templates (Section 4 of the paper and its released code). A config
# names one (``templates='eurosat'``) or writes its own.
TEMPLATES: dict[str, tuple[str, ...]] = {
    'default': (DEFAULT_TEMPLATE,),
    'aircraft': ('a photo of a {}, a type of aircraft.',),
    'flowers': ('a photo of a {}, a type of flower.',),
    'dogs': ('a photo of a {}, a type of dog.',),
    'eurosat': ('a centered satellite photo of {}.',),
    'resisc45': ('aerial imagery of a {}.',),
    'patternnet': ('aerial imagery of a {}.',),
    'ucf101': ('a photo of a person doing {}.',),
}
