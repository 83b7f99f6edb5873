"""Digests of what Pillow's filters and torchvision's crops make of some of the pictures.

    python3 make_fits.py

fits.json: a list of {file, rule, short, width, height, filter, sha256}, the digest being of the RGB
bytes. Pillow 13.0.0, torchvision 0.23.0. Only files that decode to the same pixels everywhere.
"""

import hashlib
import json
import pathlib

from PIL import Image, ImageOps
from torchvision import transforms
from torchvision.transforms import InterpolationMode

HERE = pathlib.Path(__file__).parent
FILTERS = {
    "bilinear": InterpolationMode.BILINEAR,
    "bicubic": InterpolationMode.BICUBIC,
    "lanczos": InterpolationMode.LANCZOS,
}
FILES = ["png_rgb.png", "jpeg_restart.jpg", "jpeg_tiny.jpg", "jpeg_orientation_6.jpg", "jpeg_420.jpg"]

out = []
for file in FILES:
    picture = ImageOps.exif_transpose(Image.open(HERE / "pictures" / file)).convert("RGB")
    for name, mode in FILTERS.items():
        for short, height, width in [(73, 64, 64), (50, 50, 50), (33, 24, 29), (32, 1, 1), (97, 96, 97)]:
            resize = transforms.Resize(short, interpolation=mode)
            fitted = transforms.CenterCrop((height, width))(resize(picture))
            out.append((file, "shortest", short, width, height, name, fitted))
        for width, height in [(64, 48), (7, 100), (200, 150), (96, 64), (1, 1)]:
            fitted = transforms.Resize((height, width), interpolation=mode)(picture)
            out.append((file, "squash", 0, width, height, name, fitted))
keys = ["file", "rule", "short", "width", "height", "filter", "sha256"]
lines = [
    json.dumps(dict(zip(keys, (*row[:-1], hashlib.sha256(row[-1].tobytes()).hexdigest()))))
    for row in out
]
(HERE / "fits.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")
