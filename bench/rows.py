"""The rows of the table: what is measured, and from what its bar was made."""
from dataclasses import dataclass
from typing import Optional

from networks import NETWORKS, flops, weight_bytes

WINOGRAD = 1.55  # what F(4×4,3×3) may save over a whole step: transforms and other layers counted


@dataclass(frozen=True)
class Row:
    name: str  # as --rows takes it
    title: str
    network: str
    mode: str
    ratio: float  # wished for over the best peer
    precision: str = "f32"
    batch: Optional[int] = None

    @property
    def examples(self):
        return self.batch or NETWORKS[self.network].batch

    @property
    def flops(self):
        return flops(self.network, self.mode == "train", self.examples)

    @property
    def bytes(self):
        """Of the weights: inference reads them, an update reads and writes them and the momentum."""
        return weight_bytes(self.network) * (4 if self.mode == "train" else 1)

    @property
    def working_set(self):
        return weight_bytes(self.network) * (2 if self.mode == "train" else 1)


TITLES = {
    "logreg": "logistic regression 784→10", "mlp": "MLP 784-512-512-10", "mlp_dropout": "MLP with dropout ½",
    "lenet": "LeNet-5", "cifar_vgg": "CIFAR VGG", "alexnet": "AlexNet, batch 16", "resnet18": "ResNet-18, batch 32",
    "transformer": "transformer block",
}
WISHES = {"logreg": 3, "mlp": 2.5, "mlp_dropout": 3, "lenet": 3.5, "cifar_vgg": 1.8, "alexnet": 1.8, "resnet18": 1.5,
          "transformer": 1.5}


def rows():
    table = [Row(f"train/{n}", f"step, {TITLES[n]}", n, "train", WISHES[n]) for n in NETWORKS]
    table += [Row(f"infer1/{n}", f"inference, batch 1, {TITLES[n]}", n, "infer", 1.5, batch=1)
              for n in ("lenet", "mlp")]
    table += [Row(f"infer64/{n}", f"inference, batch 64, {TITLES[n]}", n, "infer", 1.3, batch=64)
              for n in ("lenet", "mlp", "cifar_vgg")]
    table += [Row(f"bf16/{n}", f"bf16 step, {TITLES[n]}", n, "train", 1, precision="bf16") for n in NETWORKS]
    table += [Row(f"f32-amx/{n}", f"f32-amx step, {TITLES[n]}", n, "train", 1.2, precision="f32-amx")
              for n in ("mlp", "transformer")]
    return table


def bandwidth(row, peaks):
    """Of passing over a set as large as the weights again and again: GB/s."""
    sets = peaks["bandwidths"]
    fitting = next((s for s in sets if s["bytes"] >= row.working_set), sets[-1])
    return fitting["read_gbs" if row.mode == "infer" else "update_gbs"]


def floor(row, peaks, machine):
    """(milliseconds that the machine needs at least, what of it binds). `peaks` are those of as many threads."""
    quiet = machine.quiet_peaks[peaks["threads"]]
    f32, bf16 = max(peaks["f32_gflops"], quiet[0]), max(peaks.get("bf16_gflops", 0), quiet[1])
    peak = {"f32": f32, "bf16": bf16, "f32-amx": bf16 / 6}[row.precision]  # six products make one
    compute, what = row.flops / peak * 1e-6, "multiply-adds"
    if NETWORKS[row.network].winograd and row.precision == "f32":
        compute, what = compute / WINOGRAD, "Winograd"
    memory = row.bytes / bandwidth(row, peaks) * 1e-6
    return (memory, "memory") if memory > compute else (compute, what)


def bar(row, peaks, machine, best_peer):
    """The slower of the wish and what the machine allows: (milliseconds, what binds, the floor)."""
    least, what = floor(row, peaks, machine)
    wish = best_peer / row.ratio
    return (wish, "the wish", least) if wish >= least / 0.8 else (least / 0.8, what, least)
