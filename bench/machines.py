"""The machines that bars are frozen on, by the name that `gradc doctor` gives the processor, or by one for `--machine`.
`bench/bars/` has their bars, `docs/` their pages."""
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Machine:
    page: str  # in docs/; its picture has the same name
    quiet_peaks: dict  # GFLOP/s of f32 and of bf16 by threads, of a quiet minute
    # Milliseconds of the best peer by row and threads, before the page was begun.
    published: dict = field(default_factory=dict)


# PyTorch 1.13, and ONNX Runtime 1.30 for inference.
ISSUES_TABLE = {
    (f"{kind}/{network}", threads): ms
    for kind, network, *both in (
        ("train", "logreg", 0.0864, 0.0874), ("train", "mlp", 2.39, 1.56), ("train", "mlp_dropout", 3.17, 2.48),
        ("train", "lenet", 3.82, 2.31), ("train", "cifar_vgg", 230, 118.6), ("train", "alexnet", 564, 311),
        ("infer1", "lenet", 0.0235, 0.0298), ("infer1", "mlp", 0.084, 0.0269), ("infer64", "lenet", 0.893, 0.458),
        ("infer64", "mlp", 0.437, 0.273), ("infer64", "cifar_vgg", 58.0, 29.2))
    for threads, ms in enumerate(both, 1)}

MACHINES = {
    "sapphirerapids": Machine("performance.md", {1: (246, 3700), 2: (490, 7400)}, ISSUES_TABLE),
    "emeraldrapids": Machine("performance-emeraldrapids.md", {1: (179, 179), 2: (358, 358)}),  # without tiles
    "znver5": Machine("performance-znver5.md", {1: (275, 540), 2: (540, 1080)}),
}
