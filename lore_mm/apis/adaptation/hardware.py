"""What a machine can train: Black Box, image size, batch and epochs."""

import os
from dataclasses import dataclass

import torch
from mmengine.device import get_device

from lore_mm.utils import mixed_precision_pays

_GB = 1024**3
# LORE on ViT-B/16 at 224 px with batches of 32 stays below this.
_ROOM_FOR_BASE = 8.0
_ROOM_FOR_BATCH = 4.0
_BATCH = 32  # what the recipe of configs/_base_/schedules/lore.py was made for
_MIN_BATCH = 4
_FEW = 200
# Training images times epochs that a CPU gets through in about an hour.
_CPU_BUDGET = 20_000
_MIN_EPOCHS = 3


@dataclass(frozen=True)
class Hardware:
    """What trains.

    Attributes:
        device (str): As in torch: ``'cuda'``, ``'cpu'``, ...
        name (str): For people.
        memory (float | None): Of the GPU, in GiB; None without CUDA.
        cores (int): Of the CPU, that this process may use.
    """

    device: str
    name: str
    memory: float | None
    cores: int

    @property
    def roomy(self) -> bool:
        """Whether ViT-B/16 at 224 px is the better choice."""
        return self.memory is not None and self.memory >= _ROOM_FOR_BASE


@dataclass(frozen=True)
class Plan:
    """How to train on a machine.

    Attributes:
        img_size (int): Wanted side of the images, before it is made a
            multiple of the patch.
        batch_size (int): Images in a step.
        epochs (int): Passes over the training images.
        amp (bool): Mixed precision.
        workers (int): Processes that load images.
    """

    img_size: int
    batch_size: int
    epochs: int
    amp: bool
    workers: int


def find_hardware() -> Hardware:
    """Look at this machine."""
    cores = (
        len(os.sched_getaffinity(0))
        if hasattr(os, 'sched_getaffinity')
        else os.cpu_count() or 1
    )
    device = get_device()
    if device != 'cuda':
        return Hardware(
            device, f'{device.upper()}, {cores} cores', None, cores
        )
    facts = torch.cuda.get_device_properties(0)
    memory = facts.total_memory / _GB
    return Hardware(device, f'{facts.name}, {memory:.0f} GiB', memory, cores)


def make_plan(hardware: Hardware, num_images: int) -> Plan:
    """Choose for a machine and a number of training images.

    Small sets take small batches, so that an epoch has a few steps, and more
    epochs; large sets on a CPU fewer.

    Args:
        hardware (Hardware): The machine.
        num_images (int): Images to train on.
    """
    has_gpu = hardware.device != 'cpu'
    batch = _BATCH
    if hardware.memory is not None and hardware.memory < _ROOM_FOR_BATCH:
        batch //= 2
    while batch > _MIN_BATCH and 4 * batch > num_images:
        batch //= 2
    epochs = 20 if num_images < _FEW else 10
    if not has_gpu:
        epochs = max(_MIN_EPOCHS, min(epochs, _CPU_BUDGET // num_images))
    return Plan(
        img_size=224 if has_gpu else 126,
        batch_size=batch,
        epochs=epochs,
        amp=mixed_precision_pays(hardware.device),
        workers=0 if num_images < _FEW else min(4, hardware.cores // 2),
    )
