"""What Pillow and torchvision make of a small picture, operation by operation.

    python3 make.py

operations.json: {"width", "height", "picture", "operations": [{"name", "argument", "pixels", "covered"}]},
pixels being RGB bytes in base64. covered says, pixel by pixel, whether a picture that was moved
still covers the place: outside of it torchvision fills with black. Pillow 13.0.0, torchvision
0.23.0; the picture is a part of "chelsea" of scikit-image (public domain).
"""

import base64
import json
import math
import pathlib

import numpy as np
import skimage
import torch
from PIL import Image, ImageEnhance, ImageOps
from torchvision.transforms import InterpolationMode, functional

picture = Image.open(pathlib.Path(skimage.__path__[0], "data", "chelsea.png")).convert("RGB")
picture = picture.crop((100, 40, 300, 180)).resize((20, 14))
tensor = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float()


def text(pixels):
    return base64.b64encode(np.ascontiguousarray(pixels, dtype=np.uint8).tobytes()).decode()


operations = []


def keep(name, argument, pixels, covered=None):
    row = {"name": name, "argument": argument, "pixels": text(np.array(pixels))}
    if covered is not None:
        row["covered"] = text(covered)
    operations.append(row)


for factor in [0.3, 0.8, 1.0, 1.4, 1.9]:
    keep("brighten", factor, ImageEnhance.Brightness(picture).enhance(factor))
    keep("contrast", factor, ImageEnhance.Contrast(picture).enhance(factor))
    keep("saturate", factor, ImageEnhance.Color(picture).enhance(factor))
    keep("sharpen", factor, ImageEnhance.Sharpness(picture).enhance(factor))
for share in [-0.5, -0.2, 0.1, 0.4]:
    exact = functional.adjust_hue(tensor / 255, share)  # in floats; Pillow's hue has 256 steps
    keep("hue", share, (exact * 255).round().permute(1, 2, 0).numpy())
for bits in [1, 4, 7]:
    keep("posterise", bits, ImageOps.posterize(picture, bits))
for threshold in [60, 128, 255]:
    keep("solarise", threshold, ImageOps.solarize(picture, threshold))
keep("autocontrast", 0, ImageOps.autocontrast(picture))
keep("equalise", 0, ImageOps.equalize(picture))


def moved(name, argument, **affine):
    options = dict(angle=0.0, translate=[0, 0], scale=1.0, shear=[0.0, 0.0]) | affine
    options["interpolation"] = InterpolationMode.BILINEAR
    out = functional.affine(tensor, **options)
    covered = functional.affine(torch.ones_like(tensor[:1]), **options)[0] > 0.999
    keep(name, argument, out.round().permute(1, 2, 0).numpy(), covered.numpy())


for degrees in [90, 30, -12.5]:
    moved("turn", math.radians(degrees), angle=float(degrees))
for scale in [0.7, 1.3]:
    moved("zoom", scale, scale=scale)
for pixels in [-3, 5]:
    moved("move", pixels, translate=[pixels, 0])

out = {"width": picture.width, "height": picture.height, "picture": text(np.array(picture)), "operations": operations}
pathlib.Path(__file__).with_name("operations.json").write_text(json.dumps(out, indent=1) + "\n")
