# SPDX-License-Identifier: Apache-2.0
"""Weights of torchvision's ResNets as torchvision.cpp names and orders them: from_torchvision.py resnet50 50.safetensors.

Needs torch, torchvision and safetensors. Filters become {out, height, width, in}; tempera calls the parameters of batch norm scale,
offset, moving_mean and moving_variance. For the other way, rename and permute (0, 3, 1, 2) backwards."""

import re
import sys

import torch
import torchvision
from safetensors.torch import save_file

BATCH_NORM = {"weight": "scale", "bias": "offset", "running_mean": "moving_mean", "running_var": "moving_variance"}
EPSILON = 1e-5  # of batch norm, on both sides


def converted(state):
    deviation = torch.tensor([0.229, 0.224, 0.225])
    tensors = {"normalize.moving_mean": torch.tensor([0.485, 0.456, 0.406]),
               "normalize.moving_variance": deviation ** 2 - EPSILON}
    for name, tensor in state.items():
        path, what = name.rsplit(".", 1)
        if what == "num_batches_tracked":
            continue
        path = re.sub(r"^(layer\d)\.(\d+)", r"\1.block\2", path)
        path = path.replace("downsample.0", "downsample.conv1").replace("downsample.1", "downsample.bn1")
        if re.search(r"bn\d$", path):
            what = BATCH_NORM[what]
        tensors[f"{path}.{what}"] = (tensor.permute(0, 2, 3, 1) if tensor.dim() == 4 else tensor).contiguous()
    return tensors


if __name__ == "__main__":
    network, file = sys.argv[1:]
    save_file(converted(torchvision.models.get_model(network, weights="DEFAULT").state_dict()), file)
