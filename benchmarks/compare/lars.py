# SPDX-License-Identifier: Apache-2.0
"""LARS as include/tempera/optim/lars.hpp has it, with PyTorch's operations on lists of tensors."""

import torch


class Lars:
    def __init__(self, kernels, others, rate, momentum=0.9, weight_decay=1e-4, eta=1e-3):
        """kernels are decayed and adapted, others follow plain momentum."""
        self.kernels, self.others = kernels, others
        self.rate, self.momentum, self.weight_decay, self.eta = rate, momentum, weight_decay, eta
        self.moving = [torch.zeros_like(p) for p in kernels + others]

    @torch.no_grad()
    def step(self):
        gradients = torch._foreach_add([p.grad for p in self.kernels], self.kernels, alpha=self.weight_decay)
        sizes, slopes = torch._foreach_norm(self.kernels), torch._foreach_norm(gradients)
        trust = torch.where(
            (torch.stack(sizes) > 0) & (torch.stack(slopes) > 0),
            self.eta * torch.stack(sizes) / torch.stack(slopes),
            torch.ones_like(torch.stack(sizes)),
        )
        torch._foreach_mul_(gradients, list((trust * self.rate).unbind()))  # the host waits for nothing
        gradients += torch._foreach_mul([p.grad for p in self.others], self.rate)
        torch._foreach_mul_(self.moving, self.momentum)
        torch._foreach_add_(self.moving, gradients)
        torch._foreach_sub_(self.kernels + self.others, self.moving)

    def zero_grad(self, set_to_none=True):
        for p in self.kernels + self.others:
            p.grad = None
