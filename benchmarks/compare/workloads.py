# SPDX-License-Identifier: Apache-2.0
"""What is compared: one row for each workload of benchmarks/compare.cpp and compare_gpu.cpp, with the tolerances of the
check."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    name: str  # as our program has it
    label: str
    kind: str  # train, predict, pretrain, update or loss
    network: str  # a name of steps.NETWORKS; empty for a loss alone
    image: tuple  # height, width, channels
    batch: int  # rows that pass the network in one step
    steps: int  # in each round of a full run
    quick_steps: int
    device: str = "cpu"  # as PyTorch says it
    compiled: bool = True  # whether torch.compile is measured too, which takes a minute to get ready

    @property
    def precision(self):
        return next((p for p in ("bfloat16", "float16") if p in self.name), "float32")


# The check asks how far a first step is from the same step at a higher precision (float64 for float32, else float32), both computed by PyTorch. tempera may be off by FACTOR times what PyTorch is off at the row's own precision,
# or by the floor where that is by chance almost nothing. A fixed bound would have to be wide: a ReLU whose input is within
# rounding of 0 opens on one side and stays closed on the other, which moves gradients of deep networks by a percent.
FACTOR = 2
FLOOR = {"float32": 1e-5, "bfloat16": 5e-3, "float16": 1e-3}

PHOTO, CIFAR, DIGITS = (224, 224, 3), (32, 32, 3), (28, 28, 1)

WORKLOADS = [
    Workload("resnet50_train_float32", "ResNet-50, 224 x 224, batch 32: training, float32",
             "train", "resnet50", PHOTO, 32, 1, 1),
    Workload("resnet50_train_bfloat16", "ResNet-50, 224 x 224, batch 32: training, bfloat16",
             "train", "resnet50", PHOTO, 32, 1, 1),
    Workload("resnet50_predict_float32_batch32", "ResNet-50, 224 x 224, batch 32: inference, float32",
             "predict", "resnet50", PHOTO, 32, 2, 1),
    Workload("resnet50_predict_float32_batch1", "ResNet-50, 224 x 224, batch 1: inference, float32",
             "predict", "resnet50", PHOTO, 1, 20, 10),
    Workload("resnet50_predict_bfloat16_batch32", "ResNet-50, 224 x 224, batch 32: inference, bfloat16",
             "predict", "resnet50", PHOTO, 32, 2, 1),
    Workload("resnet50_predict_bfloat16_batch1", "ResNet-50, 224 x 224, batch 1: inference, bfloat16",
             "predict", "resnet50", PHOTO, 1, 20, 10),
    Workload("resnet18_train_float32", "ResNet-18, 32 x 32, batch 128: training, float32",
             "train", "resnet18", CIFAR, 128, 2, 1),
    Workload("resnet18_train_bfloat16", "ResNet-18, 32 x 32, batch 128: training, bfloat16",
             "train", "resnet18", CIFAR, 128, 2, 1),
    Workload("small_train_float32", "ResNet-10 of the demo with head, 28 x 28, 512 views: contrastive training, float32",
             "train", "small", DIGITS, 512, 5, 3),
    Workload("selective50_train_float32", "ResNet-50 with selective kernels, batch 32: training, float32",
             "train", "selective50", PHOTO, 32, 1, 1),
    Workload("selective50_train_bfloat16", "ResNet-50 with selective kernels, batch 32: training, bfloat16",
             "train", "selective50", PHOTO, 32, 1, 1),
    Workload("nt_xent_float32", "NT-Xent, 8192 x 128: value and gradient, float32",
             "loss", "", (1, 1, 128), 8192, 3, 2),
    Workload("simclr_step_float32", "SimCLR step, ResNet-18, 32 x 32, 256 images: two views to LARS, float32",
             "pretrain", "simclr18", CIFAR, 512, 1, 1),
]


def on_gpu(name, label, kind, network, image, batch, steps, compiled=False):
    return Workload(name, label, kind, network, image, batch, steps, max(1, steps // 4), "cuda", compiled)


GPU_WORKLOADS = [
    on_gpu("resnet50_train_bfloat16", "ResNet-50, 224 x 224, batch 256: training, bfloat16",
           "train", "resnet50", PHOTO, 256, 20, True),
    on_gpu("selective50_train_bfloat16", "ResNet-50 with selective kernels, batch 256: training, bfloat16",
           "train", "selective50", PHOTO, 256, 10, True),
    on_gpu("resnet18_train_bfloat16", "ResNet-18, 32 x 32, batch 128: training, bfloat16",
           "train", "resnet18", CIFAR, 128, 100, True),
    on_gpu("resnet50_predict_bfloat16_batch256", "ResNet-50, 224 x 224, batch 256: inference, bfloat16",
           "predict", "resnet50", PHOTO, 256, 40, True),
    on_gpu("resnet50_predict_bfloat16_batch1", "ResNet-50, 224 x 224, batch 1: inference, bfloat16",
           "predict", "resnet50", PHOTO, 1, 200),
    on_gpu("simclr_step_bfloat16", "SimCLR step, ResNet-50, 224 x 224, 512 images: two views to LARS, bfloat16",
           "pretrain", "simclr50", PHOTO, 1024, 6),
    on_gpu("nt_xent_4096", "NT-Xent, 8192 x 128: value and gradient, float32",
           "loss", "", (1, 1, 128), 8192, 50),
    on_gpu("lars_float32", "LARS, one update of ResNet-50, float32",
           "update", "resnet50", PHOTO, 1, 50),
    on_gpu("resnet50x2_train_bfloat16", "ResNet-50 2x, 224 x 224, batch 128: training, bfloat16",
           "train", "resnet50x2", PHOTO, 128, 10),
    on_gpu("resnet152x3_train_bfloat16", "ResNet-152 3x, 224 x 224, batch 64: training, bfloat16",
           "train", "resnet152x3", PHOTO, 64, 5),
    on_gpu("resnet50_train_float16", "ResNet-50, 224 x 224, batch 256: training, float16",
           "train", "resnet50", PHOTO, 256, 20),
    on_gpu("nt_xent_65536", "NT-Xent, 131072 x 128: value and gradient, float32",
           "loss", "", (1, 1, 128), 131072, 3),
]

# Ways to run PyTorch, each in a process of its own; the best one counts.
MODES = ("eager", "compiled")


def rows_of(device):
    return WORKLOADS if device == "cpu" else GPU_WORKLOADS


def named(name, device):
    for workload in rows_of(device):
        if workload.name == name:
            return workload
    raise SystemExit(f"unknown workload '{name}'; known are: " + ", ".join(w.name for w in rows_of(device)))
