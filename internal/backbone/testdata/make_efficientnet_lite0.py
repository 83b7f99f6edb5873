"""Makes efficientnet_lite0.safetensors, the reference outputs of EfficientNet-Lite0.

    python3 make_efficientnet_lite0.py

The network is efficientnet_lite0.py with the float16 weights of ../weights, computed in float64 and
rounded to float32 at the end, so that the numbers are free of any one machine's rounding. Computed
in float32 by PyTorch they differ by what the script prints.

The input is a formula in whole numbers: the pixel of picture n, row y, column x, channel c is

    v = (3·x + 5·y + 40·c + ⌊x·y·(n+1) / 32⌋) mod 512
    p = v if v < 256, else 511 − v

and the network gets (p − 127) / 128, which float32 holds exactly.

For each case, "224x224" (two pictures), "192x192" and "150x187" (height × width, one picture each):

    <case>/<layer>/moments  [n, 2]    mean and (population) standard deviation of the layer's output
    <case>/<layer>/corner   [n, 16]   the first 16 channels at row 0, column 0
    <case>/<layer>/centre   [n, 16]   the first 16 channels at row ⌊h/2⌋, column ⌊w/2⌋
    <case>/pooled           [n, 1280]
    <case>/logits           [n, 1000]
    224x224/head            [2, 7, 7, 64]  the first 64 channels of the last map, NHWC

Layers are stem, block0 … block15 and head, after their activation and, in a block, the addition.
Needs PyTorch and safetensors.
"""

import pathlib

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch

import efficientnet_lite0 as reference

HERE = pathlib.Path(__file__).parent
CASES = [(2, 224, 224), (1, 192, 192), (1, 150, 187)]


def pixels(n, h, w):
    """[n, 3, h, w] of 0 … 255, in float64."""
    n, c, y, x = np.meshgrid(np.arange(n), np.arange(3), np.arange(h), np.arange(w), indexing="ij")
    v = (3 * x + 5 * y + 40 * c + x * y * (n + 1) // 32) % 512
    return torch.from_numpy(np.where(v < 256, v, 511 - v).astype(np.float64))


def main():
    net = reference.load(safetensors.torch.load_file(HERE.parent / "weights/efficientnet_lite0.safetensors"))
    single, out = {}, {}
    with torch.no_grad():
        for case in CASES:
            single[case] = dict(net.layers((pixels(*case).float() - reference.MEAN) / reference.STD))
        net = net.double()
        for n, h, w in CASES:
            name = f"{h}x{w}"
            layers = dict(net.layers((pixels(n, h, w) - reference.MEAN) / reference.STD))
            for layer, x in layers.items():
                off = (single[n, h, w][layer] - x).abs().max()
                print(f"{name} {layer}: float32 off by {off:.2g}, largest value {x.abs().max():.3g}")
                if x.dim() == 2:
                    out[f"{name}/{layer}"] = x
                    continue
                out[f"{name}/{layer}/moments"] = torch.stack(
                    [x.mean((1, 2, 3)), x.std((1, 2, 3), unbiased=False)], 1
                )
                out[f"{name}/{layer}/corner"] = x[:, :16, 0, 0]
                out[f"{name}/{layer}/centre"] = x[:, :16, x.shape[2] // 2, x.shape[3] // 2]
            if name == "224x224":
                out[f"{name}/head"] = layers["head"][:, :64].permute(0, 2, 3, 1)
    out = {k: np.ascontiguousarray(v.numpy().astype(np.float32)) for k, v in out.items()}
    safetensors.numpy.save_file(out, HERE / "efficientnet_lite0.safetensors")


if __name__ == "__main__":
    main()
