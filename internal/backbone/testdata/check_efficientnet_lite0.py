"""Prints what the network makes of photographs, and what float16 costs.

    python3 check_efficientnet_lite0.py CHECKPOINT.pth

Needs PyTorch, torchvision, safetensors, scikit-image and scikit-learn (for their photographs). The
figures in ../weights/README.md come from here.
"""

import pathlib
import sys

import numpy as np
import safetensors.torch
import skimage
import sklearn
import torch
from PIL import Image
from torchvision import transforms

import efficientnet_lite0 as reference

WEIGHTS = pathlib.Path(__file__).parent.parent / "weights"
NORMALISATIONS = {
    "(x − 127) / 128": (127.0, 128.0),
    "ImageNet mean and deviation": (
        255 * torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1),
        255 * torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1),
    ),
    "x / 255": (0.0, 255.0),
}


def main(checkpoint):
    skimages = pathlib.Path(skimage.__path__[0], "data")
    sklearns = pathlib.Path(sklearn.__path__[0], "datasets/images")
    photographs = [
        skimages / name
        for name in ["chelsea.png", "coffee.png", "camera.png", "rocket.jpg", "motorcycle_left.png", "astronaut.png"]
    ] + [sklearns / name for name in ["china.jpg", "flower.jpg"]]
    shape = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])
    pixels = torch.stack(
        [
            torch.from_numpy(np.array(shape(Image.open(path).convert("RGB")))).permute(2, 0, 1).float()
            for path in photographs
        ]
    )
    classes = (WEIGHTS / "imagenet_classes.txt").read_text().splitlines()

    full = reference.load(torch.load(checkpoint, map_location="cpu", weights_only=True))
    half = reference.load(safetensors.torch.load_file(WEIGHTS / "efficientnet_lite0.safetensors"))
    with torch.no_grad():
        print("top 3, float16 weights")
        inputs = (pixels - reference.MEAN) / reference.STD
        want, got = dict(full.layers(inputs)), dict(half.layers(inputs))
        for path, row in zip(photographs, got["logits"].softmax(1)):
            top = row.topk(3)
            print(f"  {path.stem}:", ", ".join(f"{classes[i]} {p:.2f}" for p, i in zip(*top)))
        for name in ["pooled", "logits"]:
            off = (want[name] - got[name]).abs()
            print(f"{name}: float16 off by {off.max():.4f} at most, {off.mean():.4f} on average;"
                  f" standard deviation of the values {want[name].std():.2f}")
        print("top-1 the same:", bool((want["logits"].argmax(1) == got["logits"].argmax(1)).all()))

        print("variance before the first batch norm, as a multiple of what it was in training (geometric mean)")
        trained = full._bn0.running_var
        for name, (mean, std) in NORMALISATIONS.items():
            seen = full._conv_stem((pixels - mean) / std).var((0, 2, 3))
            live = trained > 1e-3
            print(f"  {name}: {(seen[live] / trained[live]).log().mean().exp():.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
