"""Where mixed precision pays."""

import pytest
import torch

from lore_mm.utils import mixed_precision_pays

BFLOAT16, AMX = '_is_avx512_bf16_supported', '_is_amx_tile_supported'


@pytest.fixture
def cpu(monkeypatch):
    """Set what the processor answers; None is a torch that cannot ask."""

    def answer(bfloat16, amx):
        for name, value in ((BFLOAT16, bfloat16), (AMX, amx)):
            if value is None:
                monkeypatch.delattr(torch.cpu, name, raising=False)
            else:
                monkeypatch.setattr(
                    torch.cpu, name, lambda value=value: value, raising=False
                )

    return answer


@pytest.mark.parametrize(
    ('bfloat16', 'amx', 'pays'),
    [
        (True, False, True),
        (False, True, True),
        (False, False, False),
        (None, None, False),
    ],
)
def test_on_a_cpu(cpu, bfloat16, amx, pays):
    cpu(bfloat16, amx)
    assert mixed_precision_pays('cpu') is pays
    assert mixed_precision_pays('cuda')
    assert not mixed_precision_pays('mps')
    if not torch.cuda.is_available():
        assert mixed_precision_pays() is pays
