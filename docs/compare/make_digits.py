"""Write scikit-learn's digits as IDX files, for docs/compare/sets/digits.yaml.

    python make_digits.py OUT

1,797 grey pictures of 8x8 with values from 0 to 16, which become 0 to 255.
Needs: scikit-learn.
"""

import argparse
import pathlib
import struct

import numpy as np
from sklearn.datasets import load_digits


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("out", type=pathlib.Path)
    out = arguments.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    digits = load_digits()
    pictures = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    labels = digits.target.astype(np.uint8)
    for name, array in [("digits-images-idx3-ubyte", pictures), ("digits-labels-idx1-ubyte", labels)]:
        header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        (out / name).write_bytes(header + array.tobytes())


if __name__ == "__main__":
    main()
