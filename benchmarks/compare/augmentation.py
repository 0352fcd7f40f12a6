# SPDX-License-Identifier: Apache-2.0
"""SimCLR's augmentation of small images as whole-batch operations, which on a CPU cost PyTorch far less than one image
after the other: crop, resize and flip are one bicubic sampling; jitter has a factor for each image."""

import torch
import torch.nn.functional as F

GRAY = (0.2989, 0.587, 0.114)


def uniform(x, low, high):
    """One number for each image."""
    return torch.empty(x.shape[0], 1, 1, 1, device=x.device).uniform_(low, high)


def cropped(images):
    """Area 8 to 100 percent, aspect 3/4 to 4/3, mirrored half of the time."""
    area, aspect = uniform(images, 0.08, 1).flatten(), uniform(images, 0.75, 4 / 3).flatten()
    width, height = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    mirror = torch.where(uniform(images, 0, 1).flatten() < 0.5, -1.0, 1.0)
    zero = torch.zeros_like(area)
    rows = torch.stack([width * mirror, zero, uniform(images, -1, 1).flatten() * (1 - width),
                        zero, height, uniform(images, -1, 1).flatten() * (1 - height)], 1)
    grid = F.affine_grid(rows.view(-1, 2, 3), images.shape, align_corners=False)
    return F.grid_sample(images, grid, mode="bicubic", padding_mode="border", align_corners=False)


def saturated(x, factor):
    largest, smallest = x.amax(1, keepdim=True), x.amin(1, keepdim=True)
    most = largest / (largest - smallest).clamp(min=1e-6)
    return largest - (largest - x) * torch.minimum(factor, most)


def turned(x, turns):
    """Hue plus turns of the circle."""
    red, green, blue = x.unbind(1)
    largest, smallest = x.amax(1), x.amin(1)
    spread = largest - smallest
    divisor = torch.where(spread > 0, spread, 1.0)
    hue = torch.where(largest == red, (green - blue) / divisor,
                      torch.where(largest == green, (blue - red) / divisor + 2, (red - green) / divisor + 4))
    hue = hue + 6 * turns.view(-1, 1, 1)
    channel = torch.stack([torch.remainder(hue + n, 6) for n in (5, 3, 1)], 1)
    return largest[:, None] - spread[:, None] * torch.minimum(channel, 4 - channel).clamp(0, 1)


def jittered(x, strength=0.5):
    b, c, s, h = 0.8 * strength, 0.8 * strength, 0.8 * strength, 0.2 * strength
    y = (x * uniform(x, 1 - b, 1 + b)).clamp(0, 1)
    mean = y.mean((2, 3), keepdim=True)
    y = ((y - mean) * uniform(x, 1 - c, 1 + c) + mean).clamp(0, 1)
    y = saturated(y, uniform(x, 1 - s, 1 + s)).clamp(0, 1)
    y = turned(y, uniform(x, -h, h)).clamp(0, 1)
    return torch.where(uniform(x, 0, 1) < 0.8, y, x)


def two_views(images):
    """Bytes (n, 3, h, w) to floats (2 n, 3, h, w) in [0, 1], view 0 of every image first."""
    x = jittered(cropped(images.repeat(2, 1, 1, 1).float() / 255).clamp(0, 1))
    gray = (x * x.new_tensor(GRAY).view(1, 3, 1, 1)).sum(1, keepdim=True).expand_as(x)
    return torch.where(uniform(x, 0, 1) < 0.2, gray, x).clamp(0, 1)
