"""Small MAT-files as SciPy writes them: python make_mat.py, in this folder."""
import numpy as np
import scipy.io

content = {
    "fts": np.arange(12, dtype=float).reshape(4, 3) / 8 - 0.5,
    "single": np.array([[1.5, -2.25]], dtype=np.float32),
    "labels": np.array([[1], [2], [10], [1]], dtype=np.uint8),
    "counts": np.array([[70000, -3]], dtype=np.int32),
    "big": np.array([[2**40, 5]], dtype=np.int64),
    "name": "texts cannot be read",
    "cells": np.array([["a", 1]], dtype=object),
    "cube": np.zeros((2, 2, 2)),
    "none": np.zeros((0, 3)),
    "complex": np.array([[1 + 2j]]),
}
scipy.io.savemat("plain.mat", content)
scipy.io.savemat("packed.mat", content, do_compression=True)
