"""The way of `training.py` in PyTorch, as its guides for CPUs have it.

The same net, channels last, autocast to bfloat16 where that is native, fused Adam, a DataLoader
with worker processes, images varied by OpenCV.
"""

import os
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
import ways
from torch import nn
from torch.utils.data import DataLoader, Dataset

from melanoma_exp.augment import Policy
from melanoma_exp.config import Experiment
from melanoma_exp.data.datamodule import DataModule
from melanoma_exp.models.cnn import Cnn, per_item
from melanoma_exp.training import precision


class Images(Dataset):
    """Images in memory, varied when they are read."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, policy: Policy) -> None:
        """Keeps them."""
        self._images, self._labels, self._policy = images, labels, policy

    def __len__(self) -> int:
        """How many."""
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        """Returns one as uint8 (3, h, w) and its label."""
        image = self._images[index]
        if self._policy.online:
            image = self._policy.draw(image, np.random.default_rng())
        return torch.from_numpy(image).permute(2, 0, 1), int(self._labels[index])


def network(spec: Cnn, shape: tuple[int, int], classes: int) -> nn.Module:
    """Returns the net of a spec without normalisation."""
    layers: list[nn.Module] = []
    channels, (height, width) = 3, shape
    paddings, dropouts = per_item(spec.padding, spec.filters), per_item(spec.dropout, spec.filters)
    for filters, padding, dropout in zip(spec.filters, paddings, dropouts, strict=True):
        for after in filters:
            lost = 0 if padding == "same" else spec.kernel - 1
            layers += [nn.Conv2d(channels, after, spec.kernel, padding=padding), nn.ReLU()]
            channels, height, width = after, height - lost, width - lost
        layers += [nn.MaxPool2d(2), *([nn.Dropout(dropout)] if dropout else [])]
        height, width = height // 2, width // 2
    layers.append(nn.Flatten())
    features = channels * height * width
    for units, dropout in zip(spec.dense, per_item(spec.dense_dropout, spec.dense), strict=True):
        layers += [nn.Linear(features, units), nn.ReLU()]
        layers += [nn.Dropout(dropout)] if dropout else []
        features = units
    return nn.Sequential(*layers, nn.Linear(features, classes))


def build(
    experiment: Experiment, datamodule: DataModule, count: int
) -> tuple[Callable[[], dict[str, int]], dict[str, Any]]:
    """Builds net, optimizer and loader."""
    samples, train = ways.some(datamodule, count), experiment.train
    images = datamodule.reader.read(samples)
    native, told = precision.native_bfloat16(precision.read_cpuinfo(), [])
    net = network(experiment.model, images.shape[1:3], len(samples.classes))
    net = net.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), train.learning_rate, fused=True)
    judge = nn.CrossEntropyLoss()
    loader = DataLoader(
        Images(images, samples.label, experiment.augment),
        train.batch_size,
        shuffle=True,
        num_workers=max(1, (os.cpu_count() or 1) // 2),
        persistent_workers=True,
        worker_init_fn=lambda _: cv2.setNumThreads(0),
    )

    def turn() -> dict[str, int]:
        for batch, labels in loader:
            scaled = batch.to(torch.float32, memory_format=torch.channels_last) / 255
            with torch.autocast("cpu", torch.bfloat16, enabled=native):
                logits = net(scaled)
            loss = judge(logits.float(), labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        return {"images": len(images)}

    facts = {"precision": "bfloat16" if native else "float32", "told": told}
    return turn, {**facts, "version": torch.__version__}


if __name__ == "__main__":
    ways.serve(build)
