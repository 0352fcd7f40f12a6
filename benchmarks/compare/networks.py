# SPDX-License-Identifier: Apache-2.0
"""The compared networks in PyTorch, as include/tempera/nn defines them: the ResNets of SimCLRv2 with selective kernels,
the projection head, the classifier. Modules carry tempera's names, so that weights go from one to the other by name."""

import torch
import torch.nn.functional as F
from torch import nn

BLOCKS = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 152: (3, 8, 36, 3)}


def conv(inside, filters, kernel=3, stride=1):
    """Padding (kernel - 1) / 2 on both sides: with a stride the last zeros are never read, as tempera has it."""
    return nn.Conv2d(inside, filters, kernel, stride, (kernel - 1) // 2, bias=False)


def norm(channels):
    return nn.BatchNorm2d(channels, eps=1e-5, momentum=0.1)


class Selective(nn.Module):
    """Two 3x3 branches as one convolution, weighted by a softmax over the two: the sigmoid of their difference."""

    def __init__(self, inside, filters, stride, ratio=0.0625):
        super().__init__()
        squeezed = max(int(filters * ratio), 32)
        self.filters = filters
        self.conv1, self.norm1 = conv(inside, 2 * filters, 3, stride), norm(2 * filters)
        self.conv2, self.norm2 = conv(filters, squeezed, 1), norm(squeezed)
        self.conv3 = conv(squeezed, 2 * filters, 1)

    def forward(self, x):
        both = F.relu_(self.norm1(self.conv1(x)))
        first, second = both.split(self.filters, 1)
        means = both.mean((2, 3), keepdim=True)
        features = means[:, : self.filters] + means[:, self.filters :]
        logits = self.conv3(F.relu_(self.norm2(self.conv2(features))))
        share = torch.sigmoid(logits[:, : self.filters] - logits[:, self.filters :])
        return second + share * (first - second)


class Shortcut(nn.Module):
    def __init__(self, inside, filters, stride, selective):
        super().__init__()
        self.pool = stride if selective else 0
        self.conv1, self.norm1 = conv(inside, filters, 1, 1 if selective else stride), norm(filters)

    def forward(self, x):
        if self.pool == 1:
            # The average over the positions inside. Windows start one before the map and the first of them is dropped, so
            # that what is missing is missing at the end.
            x = F.avg_pool2d(x, 2, 1, 1, count_include_pad=False)[:, :, 1:, 1:]
        elif self.pool == 2:
            # Zeros at the end count: the divisor is 4 everywhere.
            x = F.avg_pool2d(x, 2, 2, ceil_mode=True, divisor_override=4)
        return self.norm1(self.conv1(x))


class Block(nn.Module):
    def __init__(self, inside, filters, stride, first, bottleneck, selective):
        super().__init__()
        outside = 4 * filters if bottleneck else filters
        if first:
            self.shortcut = Shortcut(inside, outside, stride, selective)
        # Layers with tensors are numbered in the order in which they are made.
        layers = [(filters, 1, 1)] if bottleneck else []
        if selective:
            layers.append(None)
        else:
            layers.append((filters, 3, stride))
        layers.append((outside, 1 if bottleneck else 3, 1))
        self.order, number = [], 0
        for layer in layers:
            if layer is None:
                self.selective = Selective(inside, filters, stride)
                self.order.append(None)
            else:
                number += 1
                setattr(self, f"conv{number}", conv(inside, *layer))
                setattr(self, f"norm{number}", norm(layer[0]))
                self.order.append(number)
            inside = filters
        self.first = first

    def forward(self, x):
        kept = self.shortcut(x) if self.first else x
        last = self.order[-1]
        for number in self.order:
            if number is None:
                x = self.selective(x)
                continue
            x = getattr(self, f"norm{number}")(getattr(self, f"conv{number}")(x))
            if number != last:
                x = F.relu_(x)
        return F.relu_(x + kept)


class Stem(nn.Module):
    def __init__(self, kind, channels, filters):
        super().__init__()
        half = (filters + 1) // 2
        layers = {
            "imagenet": [(channels, filters, 7, 2)],
            "resnet_d": [(channels, half, 3, 2), (half, half, 3, 1), (half, filters, 3, 1)],
            "cifar": [(channels, filters, 3, 1)],
            "small": [(channels, filters, 3, 2)],
        }[kind]
        self.count, self.pools = len(layers), kind in ("imagenet", "resnet_d")
        for number, layer in enumerate(layers, 1):
            setattr(self, f"conv{number}", conv(*layer))
            setattr(self, f"norm{number}", norm(layer[1]))

    def forward(self, x):
        for number in range(1, self.count + 1):
            x = F.relu_(getattr(self, f"norm{number}")(getattr(self, f"conv{number}")(x)))
        # TensorFlow's SAME: the odd row and column are missing at the end.
        return F.max_pool2d(x, 3, 2, ceil_mode=True) if self.pools else x


class Encoder(nn.Module):
    def __init__(self, depth, stem, channels=3, base_filters=64, stages=4, selective=False, width=1):
        super().__init__()
        base_filters *= width
        bottleneck = depth >= 50
        self.stem = Stem(stem, channels, base_filters)
        inside = base_filters
        for stage in range(stages):
            filters = base_filters << stage
            blocks = nn.Module()
            for index in range(BLOCKS[depth][stage]):
                stride = 2 if index == 0 and stage > 0 else 1
                blocks.add_module(f"block{index}", Block(inside, filters, stride, index == 0, bottleneck, selective))
                inside = 4 * filters if bottleneck else filters
            self.add_module(f"stage{stage + 1}", blocks)
        self.stages, self.features = stages, inside

    def forward(self, x):
        x = self.stem(x)
        for stage in range(self.stages):
            for block in getattr(self, f"stage{stage + 1}").children():
                x = block(x)
        return x.mean((2, 3))


class HeadLayer(nn.Module):
    def __init__(self, inside, units, last):
        super().__init__()
        self.last = last
        self.dense = nn.Linear(inside, units, bias=False)
        self.norm = nn.BatchNorm1d(units, eps=1e-5, momentum=0.1)
        if last:
            self.norm.register_parameter("bias", None)

    def forward(self, x):
        x = self.norm(self.dense(x))
        return x if self.last else F.relu_(x)


class Head(nn.Module):
    def __init__(self, inside, layers, out):
        super().__init__()
        for index in range(layers):
            last = index == layers - 1
            self.add_module(f"layer{index}", HeadLayer(inside, out if last else inside, last))

    def forward(self, x):
        for layer in self.children():
            x = layer(x)
        return x


class Network(nn.Module):
    """An encoder with a projection head or a classifier."""

    def __init__(self, encoder, head=None, classes=None):
        super().__init__()
        self.encoder = encoder
        self.head = Head(encoder.features, *head) if head else None
        self.classifier = nn.Linear(encoder.features, classes) if classes else None

    def forward(self, x):
        x = self.encoder(x)
        return self.head(x) if self.head is not None else self.classifier(x)


def translated(name, value):
    """From tempera's name and tensor to PyTorch's: OHWI weights become OIHW, norms have other words."""
    owner, leaf = name.rsplit(".", 1)
    words = {"scale": "weight", "offset": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
    return f"{owner}.{words.get(leaf, leaf)}", value.permute(0, 3, 1, 2) if value.dim() == 4 else value


def load(network, tensors):
    """Takes every tensor of a checkpoint of tempera by name; an entry too many or too few is an error."""
    found = dict(translated(name, value) for name, value in tensors.items())
    wanted = {name for name in network.state_dict() if not name.endswith("num_batches_tracked")}
    if set(found) != wanted:
        raise ValueError(f"only in the file: {sorted(set(found) - wanted)}; only here: {sorted(wanted - set(found))}")
    network.load_state_dict(found, strict=False)
