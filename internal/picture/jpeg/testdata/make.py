"""Makes small JPEG files of every coding this package reads, and the digest of Pillow's pixels.

    python3 make.py CJPEG

CJPEG is libjpeg-turbo's cjpeg (2.1.5), for the sampling factors that Pillow does not write. The
photograph is "coffee" of scikit-image (CC0). pixels.json has, for each file, width, height and the
SHA-256 of Image.open(file).convert("RGB").tobytes(), with Pillow 13.0.0 (libjpeg-turbo 3).
"""

import hashlib
import io
import json
import pathlib
import subprocess
import sys

import numpy as np
import skimage
from PIL import Image

HERE = pathlib.Path(__file__).parent
PHOTOGRAPH = Image.open(pathlib.Path(skimage.__path__[0], "data", "coffee.png")).convert("RGB")
NOISE = np.random.default_rng(1)
index = {}


def keep(name, data):
    (HERE / name).write_bytes(data)
    rgb = Image.open(io.BytesIO(data)).convert("RGB")
    index[name] = [rgb.width, rgb.height, hashlib.sha256(rgb.tobytes()).hexdigest()]


def pillow(picture, **options):
    out = io.BytesIO()
    picture.save(out, "JPEG", **options)
    return out.getvalue()


for width, height in [(1, 1), (3, 2), (5, 9), (37, 53)]:
    picture = PHOTOGRAPH.resize((width, height))
    ppm = HERE / "picture.ppm"
    picture.save(ppm)
    for sampling in ["1x1", "2x1", "1x2", "2x2", "4x1", "2x4", "3x1", "2x2,2x1,1x2"]:
        for kind in ["", "-progressive"]:
            if kind and sampling not in ("1x1", "2x2", "4x1"):
                continue
            command = [sys.argv[1], "-quality", "75", "-sample", sampling, *kind.split(), str(ppm)]
            data = subprocess.run(command, check=True, capture_output=True).stdout
            keep(f"{width}x{height}_{sampling.replace(',', '_')}{kind}.jpg", data)
    ppm.unlink()

picture = PHOTOGRAPH.resize((75, 43))
noise = Image.fromarray(NOISE.integers(0, 256, (19, 35, 3), dtype=np.uint8))
keep("quality_5.jpg", pillow(picture, quality=5))
keep("quality_97.jpg", pillow(picture, quality=97, optimize=True))
keep("noise.jpg", pillow(noise, quality=100, subsampling=0))
keep("noise_progressive.jpg", pillow(noise, quality=100, subsampling=0, progressive=True))
keep("restart.jpg", pillow(picture, quality=80, restart_marker_blocks=3))
keep("restart_progressive.jpg", pillow(picture, quality=80, restart_marker_blocks=3, progressive=True))
keep("grey.jpg", pillow(picture.convert("L"), quality=80))
keep("grey_progressive.jpg", pillow(picture.convert("L"), quality=80, progressive=True))
keep("cmyk.jpg", pillow(picture.convert("CMYK"), quality=80))

# The same coefficients, arithmetic-coded, by the jpegtran that is beside cjpeg.
for name, *options in [("noise",), ("noise", "-progressive"), ("grey",), ("cmyk", "-progressive"), ("quality_5", "-restart", "1")]:
    command = [pathlib.Path(sys.argv[1]).with_name("jpegtran"), "-arithmetic", *options, HERE / f"{name}.jpg"]
    kind = "".join(options).replace("-", "_").replace("restart1", "restart")
    keep(f"{name}_arithmetic{kind}.jpg", subprocess.run(command, check=True, capture_output=True).stdout)
(HERE / "pixels.json").write_text(json.dumps(index, indent=1) + "\n")
