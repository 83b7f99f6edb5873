"""Make a folder of JPEG photographs to measure with.

    python make_photos.py OUT [--count 10000] [--classes 10]

Every picture is a crop of about 500x375 pixels of a real photograph (those
that come with scikit-image and scikit-learn), turned, mirrored and
re-lighted a little so that no two are alike, saved at quality 85 to 95.
The same arguments give the same files.
Needs: numpy, Pillow, scikit-image, scikit-learn.
"""

import argparse
import pathlib

import numpy as np
from PIL import Image, ImageEnhance
from skimage import data
from sklearn.datasets import load_sample_images


def photographs():
    pictures = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]
    pictures += list(load_sample_images().images)
    out = []
    for p in pictures:
        image = Image.fromarray(p).convert("RGB")
        scale = max(1.0, 620 / image.width, 480 / image.height)
        out.append(image.resize((round(image.width * scale), round(image.height * scale)), Image.BICUBIC))
    return out


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("out", type=pathlib.Path)
    arguments.add_argument("--count", type=int, default=10_000)
    arguments.add_argument("--classes", type=int, default=10)
    options = arguments.parse_args()
    sources = photographs()
    for n in range(options.count):
        random = np.random.default_rng(n)
        label = n % options.classes
        source = sources[label % len(sources)]
        width, height = int(random.integers(460, 541)), int(random.integers(345, 406))
        left = int(random.integers(0, source.width - width + 1)) if source.width > width else 0
        top = int(random.integers(0, source.height - height + 1)) if source.height > height else 0
        picture = source.crop((left, top, left + width, top + height))
        if random.random() < 0.5:
            picture = picture.transpose(Image.FLIP_LEFT_RIGHT)
        picture = ImageEnhance.Brightness(picture).enhance(random.uniform(0.7, 1.3))
        picture = ImageEnhance.Color(picture).enhance(random.uniform(0.5, 1.5))
        folder = options.out / f"class_{label:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        picture.save(folder / f"{n:06d}.jpg", quality=int(random.integers(85, 96)))


if __name__ == "__main__":
    main()
