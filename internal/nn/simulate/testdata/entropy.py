"""Writes entropy.json: histograms of magnitudes in a fine-tuned EfficientNet-Lite0, and where the entropy calibration of
Migacz 2017 (8-bit inference with TensorRT), with zeros left out as NVIDIA's pytorch-quantization does, cuts them off, in NumPy.

    tlpipe export emo.yaml:net --out net.onnx; tlpipe show emo.yaml:images --export x.npy
    python entropy.py net.onnx x.npy LAYER...     # needs numpy, onnx and onnxruntime
"""
import json
import sys

import numpy as np
import onnx
import onnxruntime

BINS = 2048


def threshold(counts, levels):
    """How many bins stay: the last that has the least divergence."""
    c = counts.astype(np.float64)
    c[0] = c[1]
    least, best = np.inf, BINS
    for k in range(levels, BINS + 1):
        p = c[:k].copy()
        p[-1] += c[k:].sum()
        level = np.digitize(np.arange(k), np.linspace(0, k, levels + 1)) - 1
        filled = c[:k] > 0
        mass = np.bincount(level, c[:k], levels)
        number = np.bincount(level[filled], minlength=levels)
        q = np.where(filled, (mass / np.maximum(number, 1))[level], 0)
        if q.sum() == 0 or ((p > 0) & (q == 0)).any():
            continue
        p, q = p / p.sum(), q / q.sum()
        at = p > 0
        d = np.sum(p[at] * np.log(p[at] / q[at]))
        if d <= least:
            least, best = d, k
    return best


def main(path, pixels, layers):
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    model.graph.output.extend([v for v in model.graph.value_info if v.name in layers])
    session = onnxruntime.InferenceSession(model.SerializeToString())
    x = np.load(pixels)[:64]
    out = []
    for name, v in zip(layers, session.run(layers, {session.get_inputs()[0].name: x})):
        magnitudes = np.abs(v.astype(np.float64)).ravel()
        counts, _ = np.histogram(magnitudes, BINS, (0, magnitudes.max()))
        unsigned = bool(v.min() >= 0)
        out.append({"layer": name, "unsigned": unsigned, "counts": counts.tolist(), "kept": threshold(counts, 256 if unsigned else 128)})
        print(name, unsigned, out[-1]["kept"])
    json.dump(out, open("entropy.json", "w"), separators=(",", ":"))


main(sys.argv[1], sys.argv[2], sys.argv[3:])
