# SPDX-License-Identifier: Apache-2.0
"""PyTorch's side of the workloads: what one step does, in eager mode and compiled."""

import torch
import torch.nn.functional as F

from augmentation import two_views
from lars import Lars
from networks import Encoder, Network, load

NETWORKS = {
    "resnet50": lambda: Network(Encoder(50, "imagenet"), classes=1000),
    "selective50": lambda: Network(Encoder(50, "resnet_d", selective=True), classes=1000),
    "resnet50x2": lambda: Network(Encoder(50, "imagenet", width=2), classes=1000),
    "resnet152x3": lambda: Network(Encoder(152, "imagenet", width=3), classes=1000),
    "resnet18": lambda: Network(Encoder(18, "cifar"), classes=10),
    "small": lambda: Network(Encoder(10, "small", 1, 16, 3, selective=True), head=(3, 64)),
    "simclr50": lambda: Network(Encoder(50, "imagenet"), head=(3, 128)),
    "simclr18": lambda: Network(Encoder(18, "cifar"), head=(3, 128)),
}


def nt_xent(h, temperature):
    """The sum of the two views' means. The row of similarities is reduced at once; the pair's own entry is a product of
    its own, so that nothing is gathered from the large matrix."""
    z = F.normalize(h, eps=1e-6)
    similarities = (z / temperature) @ z.t()
    similarities = similarities.fill_diagonal_(float("-inf"))
    positive = (z * z.roll(z.shape[0] // 2, 0)).sum(1) / temperature
    return 2 * (torch.logsumexp(similarities, 1) - positive).mean()


def compiled(workload, function, mode):
    """On a GPU as CUDA graphs."""
    if mode != "compiled":
        return function
    return torch.compile(function, mode="reduce-overhead" if workload.device == "cuda" else None)


def images_of(workload):
    torch.manual_seed(1)
    height, width, channels = workload.image
    images = torch.rand(workload.batch, channels, height, width, device=workload.device)
    return images.contiguous(memory_format=torch.channels_last)


def autocast(workload):
    element = getattr(torch, workload.precision)
    return torch.autocast(workload.device, dtype=torch.bfloat16 if element == torch.float32 else element,
                          enabled=element != torch.float32)


class Training:
    """Forward, loss, backward and update on one batch, or on two new views of every image."""

    def __init__(self, workload, mode, weights=None, rate=1e-3, element=torch.float32):
        self.workload = workload
        self.network = NETWORKS[workload.network]()
        if weights:
            load(self.network, weights)
        self.network.to(device=workload.device, dtype=element, memory_format=torch.channels_last)
        self.labels = torch.arange(workload.batch, device=workload.device) % 10
        # From the same scale as tempera starts; without a scaler elsewhere.
        self.scaler = torch.amp.GradScaler(workload.device, enabled=workload.precision == "float16")
        contrastive = self.network.head is not None
        temperature = 0.2 if workload.network == "small" else 0.1

        def loss_of(images):
            with autocast(workload):
                output = self.network(images)
            output = output.to(torch.promote_types(output.dtype, torch.float32))
            loss = nt_xent(output, temperature) if contrastive else F.cross_entropy(output, self.labels)
            return output, loss

        self.loss_of = compiled(workload, loss_of, mode)
        norms = [p for n, p in self.network.named_parameters() if ".norm" in n]
        others = [p for n, p in self.network.named_parameters() if ".norm" not in n]
        if workload.kind == "pretrain":
            self.optimizer = Lars(others, norms, rate, weight_decay=1e-4)
            torch.manual_seed(1)
            height, width, channels = workload.image
            self.set = torch.randint(0, 256, (2 * workload.batch, channels, height, width), dtype=torch.uint8,
                                     device=workload.device)
            self.next_batch = self.augmented(compiled(workload, two_views, mode))
        else:
            groups = [{"params": others, "weight_decay": 1e-4}, {"params": norms, "weight_decay": 0.0}]
            self.optimizer = torch.optim.SGD(groups, lr=rate, momentum=0.9, nesterov=True, fused=True)
            images = images_of(workload)
            self.next_batch = lambda: images

    def augmented(self, views):
        def batch():
            picked = torch.randint(0, len(self.set), (self.workload.batch // 2,), device=self.set.device)
            return views(self.set[picked]).contiguous(memory_format=torch.channels_last)

        return batch

    def on(self, images):
        output, loss = self.loss_of(images)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        return output.detach(), loss.detach()

    def __call__(self):
        self.on(self.next_batch())


class Prediction:
    """Inference with batch norm folded into the weights; compiled with weights frozen into the program."""

    def __init__(self, workload, mode, weights=None, element=torch.float32):
        self.workload = workload
        network = NETWORKS[workload.network]()
        if weights:
            load(network, weights)
        # On a GPU the weights are kept in 16 bits, which saves their conversion.
        kept = getattr(torch, workload.precision) if workload.device == "cuda" else element
        network.eval().to(device=workload.device, dtype=element, memory_format=torch.channels_last)
        if mode == "compiled":
            import torch._inductor.config as inductor

            inductor.freezing = True
            self.network = compiled(workload, network.to(kept), mode)
        else:
            self.network = folded(network).to(kept)
        self.images = images_of(workload)

    @torch.no_grad()
    def on(self, images):
        if self.workload.device == "cuda":
            return self.network(images.to(next(self.network.parameters()).dtype)).float(), None
        with autocast(self.workload):
            return self.network(images), None

    def __call__(self):
        self.on(self.images)


def folded(network):
    """Every norm that stands behind a convolution becomes part of it."""
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    for module in network.modules():
        for name, part in list(module.named_children()):
            if name.startswith("norm") and isinstance(part, torch.nn.BatchNorm2d):
                number = name[len("norm"):]
                setattr(module, f"conv{number}", fuse_conv_bn_eval(getattr(module, f"conv{number}"), part))
                setattr(module, name, torch.nn.Identity())
    return network.to(memory_format=torch.channels_last)


class Update:
    """LARS alone, of gradients that stay."""

    def __init__(self, workload, mode):
        parameters = list(NETWORKS[workload.network]().to(workload.device).parameters())
        self.optimizer = Lars([p for p in parameters if p.dim() > 1], [p for p in parameters if p.dim() == 1], 1e-3)
        for p in parameters:
            p.grad = torch.randn_like(p)
        self.step = compiled(workload, self.optimizer.step, mode)

    def __call__(self):
        self.step()


class Loss:
    """NT-Xent alone, value and gradient."""

    def __init__(self, workload, mode):
        torch.manual_seed(1)
        self.loss_of = compiled(workload, lambda h: nt_xent(h, 0.1), mode)
        self.h = torch.rand(workload.batch, workload.image[2], device=workload.device) * 2 - 1

    def on(self, h):
        h = h.detach().requires_grad_()
        loss = self.loss_of(h)
        loss.backward()
        return h.grad, loss.detach()

    def __call__(self):
        self.on(self.h)


def step_of(workload, mode, weights=None, rate=1e-3, element=torch.float32):
    if workload.kind == "loss":
        return Loss(workload, mode)
    if workload.kind == "update":
        return Update(workload, mode)
    if workload.kind == "predict":
        return Prediction(workload, mode, weights, element)
    return Training(workload, mode, weights, rate, element)
