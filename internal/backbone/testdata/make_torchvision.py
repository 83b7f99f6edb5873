"""Makes <name>.safetensors for torchvision's networks: the reference outputs that the Go networks are
held against.

    python3 make_torchvision.py [NAME…]

Weights come from a formula, so that they need not be stored. Of a tensor called NAME in the state
dict, element i (row-major) has

    z = mix(FNV-1a(NAME) + (i + 1)·0x9E3779B97F4A7C15)     64 bits, mix being that of SplitMix64
    u = ⌊z / 2^40⌋ / 2^23 − 1                              in [−1, 1)

and is, computed in float64 and rounded to float32,

    running_mean                         u / 5
    running_var                          1 + 3u / 10
    bias                                 u / 5
    weight of a batch-norm               1 + u / 5
    weight of a convolution, dense       gain · √(6 / fan-in) · u

where the gain is a number for each network (in GAINS, and in the metadata of its file) with which
signals neither die nor explode.

The input is the formula of make_efficientnet_lite0.py. All is computed in float64 and rounded to
float32 at the end, so that the numbers are free of any one machine's rounding; computed in float32 by
PyTorch they differ by what the script prints.

For each case, named height×width:

    <case>/last     [n, 2, 2, 32]  the first 32 channels of the last map's lower right corner, NHWC
    <case>/pooled   [n, features]
    <case>/logits   [n, 200]       the first 200
    <case>/moments  [n, 3, 2]      mean and (population) standard deviation of last, pooled, logits

Metadata: gain; tensors, the SHA-256 of the lines "name shape\\n" of the state dict, sorted. Needs
torchvision and safetensors.
"""

import hashlib
import pathlib
import sys

import numpy as np
import safetensors.numpy
import torch
import torchvision

from make_efficientnet_lite0 import pixels

HERE = pathlib.Path(__file__).parent
GAINS = {
    "resnet18": 0.8,
    "resnet34": 0.7,
    "resnet50": 0.75,
    "resnet101": 0.7,
    "resnet152": 0.67,
    "mobilenet_v2": 0.85,
    "vgg16": 1.0,
    "vgg19": 1.0,
    "densenet121": 1.0,
    "efficientnet_b0": 1.1,
    "inception_v3": 1.0,
}
CASES = [(2, 224, 224), (2, 97, 130)]
SIZES = {"inception_v3": [(2, 299, 299), (2, 107, 140)]}


def noise(name, size):
    """The numbers u of a tensor."""
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = (state ^ byte) * 0x100000001B3 % 2**64
    z = np.arange(1, size + 1, dtype=np.uint64)
    z *= np.uint64(0x9E3779B97F4A7C15)
    z += np.uint64(state)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / 2**23 - 1


def scale(kind, u, gain, axes, fan_in):
    """What becomes of u in a tensor of that kind and number of axes."""
    if kind in ("running_mean", "bias"):
        return u / 5
    if kind == "running_var":
        return 1 + 3 * u / 10
    if axes == 1:
        return 1 + u / 5
    return gain * np.sqrt(6 / fan_in) * u


def fill(name, shape, gain):
    """The tensor of that name, as float32."""
    size = int(np.prod(shape))
    u = scale(name.rsplit(".", 1)[-1], noise(name, size), gain, len(shape), size // shape[0])
    return torch.from_numpy(u.astype(np.float32).reshape(shape))


def build(name, gain):
    options = {"aux_logits": False, "init_weights": False} if name == "inception_v3" else {}
    net = torchvision.models.get_model(name, weights=None, **options).eval()
    tensors = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    digest = hashlib.sha256()
    for key in sorted(tensors):
        digest.update(f"{key} {list(tensors[key].shape)}\n".encode())
    net.load_state_dict({k: fill(k, tuple(v.shape), gain) for k, v in tensors.items()}, strict=False)
    return net, digest.hexdigest()


def layers(net, x):
    """The last map, what is pooled of it, and the logits."""
    maps = {}
    last = getattr(net, "layer4", None) or getattr(net, "Mixed_7c", None) or net.features
    hook = last.register_forward_hook(lambda _module, _inputs, out: maps.update(last=out.clone()))
    with torch.no_grad():
        logits = net(x)
    hook.remove()
    if isinstance(net, torchvision.models.DenseNet):
        maps["last"] = maps["last"].relu()  # which the module does outside its features
    return {"last": maps["last"], "pooled": maps["last"].mean((2, 3)), "logits": logits}


def main(names):
    for name in names or GAINS:
        gain = GAINS[name]
        net, tensors = build(name, gain)
        cases = SIZES.get(name, CASES)
        inputs = {case: (pixels(*case) - 127) / 128 for case in cases}
        single = {case: layers(net, x.float()) for case, x in inputs.items()}
        net = net.double()
        out = {}
        for case, x in inputs.items():
            n, h, w = case
            found = layers(net, x)
            moments = []
            for layer, y in found.items():
                off, largest = (single[case][layer] - y).abs().max(), y.abs().max()
                each = y.flatten(1)
                moments.append(torch.stack([each.mean(1), each.std(1, unbiased=False)], 1))
                between = (each[0] - each[1]).square().mean().sqrt() / each.square().mean().sqrt()
                print(f"{name} {h}x{w} {layer}: float32 off by {off / largest:.2g} of the largest value {largest:.3g};"
                      f" mean {each.mean():.3g}, deviation {each.std():.3g}, between pictures {between:.2g}")
            out[f"{h}x{w}/moments"] = torch.stack(moments, 1)
            out[f"{h}x{w}/last"] = found["last"][:, :32, -2:, -2:].permute(0, 2, 3, 1)
            out[f"{h}x{w}/pooled"] = found["pooled"]
            out[f"{h}x{w}/logits"] = found["logits"][:, :200]
        out = {k: np.ascontiguousarray(v.numpy().astype(np.float32)) for k, v in out.items()}
        safetensors.numpy.save_file(out, HERE / f"{name}.safetensors", {"gain": str(gain), "tensors": tensors})


if __name__ == "__main__":
    main(sys.argv[1:])
