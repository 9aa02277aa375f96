"""Nothing is trained: the test split alone is read."""

test_cfg = dict()

custom_hooks = [dict(type='lore_mm.TextHeadHook')]
