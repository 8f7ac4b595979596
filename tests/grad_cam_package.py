"""Three networks whose weights are a formula, and the program that asks the package grad-cam for their maps.

The package brings OpenCV, scikit-learn and torchvision, a hundred megabytes. So the tests read its answers
from grad_cam.json, which this program writes where the package is installed:

    pip install grad-cam==1.5.7
    python tests/grad_cam_package.py
"""

import json
from pathlib import Path

import torch
from torch import nn

from simam_edu.attention import attention_factory
from simam_edu.networks import build

FILE = Path(__file__).with_name("grad_cam.json")
CLASSES = [3, 0]


def by_formula(network: nn.Module) -> nn.Module:
    """Fill every weight and buffer by a sine of a size that keeps the scale of the maps.

    The last layer's are a thousand times as large: the package adds 1e-7 to a map.
    """
    with torch.no_grad():
        for k, values in enumerate(network.state_dict().values()):
            if values.is_floating_point():
                wave = torch.sin(1.7 * torch.arange(values.numel(), dtype=torch.float64) + k)
                scale = (2.0 / values[0].numel()) ** 0.5 if values.ndim > 1 else 0.3
                scale *= 1000 if values.ndim == 2 else 1
                values.copy_((1.5 * scale * wave + (values.ndim == 1)).reshape(values.shape))
    return network.double().eval()


def networks() -> dict[str, tuple[nn.Module, nn.Module]]:
    """Return each network with the layer whose maps are asked for."""
    chain = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(6, 5, 3), nn.Tanh(),
        nn.Flatten(), nn.Linear(5 * 13 * 13, 4),
    )  # fmt: skip
    residual = build("resnet8", num_classes=4, attention=attention_factory("simam"))
    mobile = build("mobilenetv2", num_classes=4, attention=attention_factory("se"))
    chosen = {
        "chain": (chain, chain[4]),
        "residual": (residual, residual.stages[2]),  # type: ignore[index]
        "mobile": (mobile, mobile.stages[3]),  # type: ignore[index]
    }
    return {name: (by_formula(network), layer) for name, (network, layer) in chosen.items()}


def images() -> torch.Tensor:
    """Return two images of waves."""
    steps = torch.arange(2 * 3 * 32 * 32, dtype=torch.float64)
    return (torch.sin(0.37 * steps) + torch.cos(0.0113 * steps)).reshape(2, 3, 32, 32)


def main() -> None:
    """Ask the package for its maps, scaled and enlarged as it does, and write every third row and column."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    found = {}
    for name, (network, layer) in networks().items():
        with GradCAM(network, [layer]) as cam:
            maps = cam(images(), [ClassifierOutputTarget(k) for k in CLASSES])
        found[name] = [[[round(float(v), 7) for v in row[::3]] for row in one[::3]] for one in maps]
    FILE.write_text(json.dumps(found) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
