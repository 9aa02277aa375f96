import pytest
import torch


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def scramble():
    """Set every weight and statistic of a module to a random value."""

    def run(module, std=0.3):
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.normal_(std=std)
            for name, buffer in module.named_buffers():
                if name.endswith('running_mean'):
                    buffer.normal_(std=std)
                if name.endswith('running_var'):
                    buffer.uniform_(0.5, 2.0)
        return module

    return run
