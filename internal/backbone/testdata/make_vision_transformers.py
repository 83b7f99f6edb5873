"""Makes the reference outputs of the Vision Transformers, and their numbers for counts.json (on the standard output).

    python3 make_vision_transformers.py [NAME…]

Weights, input and contents are as in make_timm.py. Positions are filled in the size that they were trained in and resized by
PyTorch's bicubic interpolation to a given size, without antialiasing, as transformers does. Queries, keys and values are one layer in timm and torchvision; the Go networks have three, which
the depth counts.

Needs timm, torchvision, transformers and safetensors.
"""

import hashlib
import json
import pathlib
import sys

import numpy as np
import safetensors.numpy
import timm
import torch
import torchvision
from torch.utils.flop_counter import FlopCounterMode

import make_torchvision as formula
from make_efficientnet_lite0 import pixels

timm.layers.set_fused_attn(False)  # so that its products are counted
HERE = pathlib.Path(__file__).parent
NETWORKS = {
    # name: how to make it for a size, gain, patch, side of the positions, tokens before the patches with a position, cases
    "vit_s16": (lambda size: timm.create_model("vit_small_patch16_224", img_size=size), 1.0, 16, 14, 1, [(2, 224, 224), (2, 80, 112)]),
    "vit_b16": (lambda size: torchvision.models.vit_b_16(), 1.0, 16, 14, 1, [(2, 224, 224)]),
    "dinov2_s14": (lambda size: timm.create_model("vit_small_patch14_dinov2", img_size=size), 1.0, 14, 37, 1, [(2, 224, 224), (2, 84, 126), (2, 518, 518)]),
    "dinov2_reg_s14": (lambda size: timm.create_model("vit_small_patch14_reg4_dinov2", img_size=size), 1.0, 14, 37, 0, [(2, 224, 224), (2, 84, 126)]),
    "clip_b32": (lambda size: timm.create_model("vit_base_patch32_clip_quickgelu_224", img_size=size), 1.0, 32, 7, 1, [(2, 224, 224), (2, 160, 256)]),
    "vit_b16_timm": (lambda size: timm.create_model("vit_base_patch16_224", img_size=size), 1.0, 16, 14, 1, []),
    "dinov2_b14": (lambda size: timm.create_model("vit_base_patch14_dinov2", img_size=size), 1.0, 14, 37, 1, []),
    "dinov2_reg_b14": (lambda size: timm.create_model("vit_base_patch14_reg4_dinov2", img_size=size), 1.0, 14, 37, 0, []),
    "clip_b16": (lambda size: timm.create_model("vit_base_patch16_clip_quickgelu_224", img_size=size), 1.0, 16, 14, 1, []),
}


def resized(positions, side, before, grid):
    own, patches = positions[:, :before], positions[:, before:]
    patches = patches.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    patches = torch.nn.functional.interpolate(patches, size=grid, mode="bicubic", align_corners=False)
    return torch.cat([own, patches.permute(0, 2, 3, 1).flatten(1, 2)], 1)


def build(name, size):
    """The network for pictures of a size with weights of the formula, and the digest of its tensors at the trained size."""
    make, gain, patch, side, before, _ = NETWORKS[name]
    net = make(size).eval()
    shapes = {k: tuple(v.shape) for k, v in net.state_dict().items()}
    place = next(k for k in shapes if "pos_embed" in k)
    shapes[place] = (1, before + side * side, shapes[place][2])
    lines = "".join(f"{k} {list(shapes[k])}\n" for k in sorted(shapes))
    weights = {k: formula.fill(k, v, gain) for k, v in shapes.items()}
    trained = weights[place].clone()
    weights[place] = resized(weights[place].double(), side, before, (size[0] // patch, size[1] // patch)).to(torch.float64)
    net = net.double()
    net.load_state_dict(weights)
    return net, hashlib.sha256(lines.encode()).hexdigest(), weights, trained


def layers(net, x, patch):
    n, _, h, w = x.shape
    with torch.no_grad():
        if isinstance(net, torchvision.models.VisionTransformer):
            t = net._process_input(x)
            t = net.encoder(torch.cat([net.class_token.expand(n, -1, -1), t], 1))
            pooled, logits = t[:, 0], net.heads(t[:, 0])
        else:
            t = net.forward_features(x)
            pooled, logits = net.forward_head(t, pre_logits=True), net.forward_head(t)
    patches = t[:, -(h // patch) * (w // patch):]
    found = {"last": patches.transpose(1, 2).reshape(n, -1, h // patch, w // patch), "pooled": pooled}
    if logits.shape != pooled.shape:
        found["logits"] = logits
    return found


def counts(name):
    net = NETWORKS[name][0]((224, 224)).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, 3, 224, 224))
    top = sum(p.numel() for k, p in net.named_parameters() if k.startswith(("head.", "heads.")))
    parameters = sum(p.numel() for p in net.parameters())
    if "_reg_" in name:  # those who published it have a position for the class token, which timm adds to the token
        parameters += net.embed_dim
    depth = sum(isinstance(m, (torch.nn.Conv2d, torch.nn.Linear)) for m in net.modules()) + 2 * 12
    return {"parameters": parameters, "trunk": parameters - top, "statistics": 0, "multiply_adds": counter.get_total_flops() // 2, "depth": depth}


def main(names):
    for name in names or NETWORKS:
        _, gain, patch, side, before, cases = NETWORKS[name]
        out = {}
        for case in cases:
            n, h, w = case
            net, digest, weights, trained = build(name, (h, w))
            found = layers(net, (pixels(*case) - 127) / 128, patch)
            moments = []
            for layer, y in found.items():
                each = y.flatten(1)
                moments.append(torch.stack([each.mean(1), each.std(1, unbiased=False)], 1))
                between = (each[0] - each[1]).square().mean().sqrt() / each.square().mean().sqrt()
                print(f"{name} {h}x{w} {layer}: largest {y.abs().max():.3g}, between pictures {between:.2g}", file=sys.stderr, flush=True)
            out[f"{h}x{w}/moments"] = torch.stack(moments, 1)
            out[f"{h}x{w}/last"] = found["last"][:, :32, -2:, -2:].permute(0, 2, 3, 1)
            out[f"{h}x{w}/pooled"] = found["pooled"][:, :256]
            if "logits" in found:
                out[f"{h}x{w}/logits"] = found["logits"][:, :200]
        if out:
            out = {k: np.ascontiguousarray(v.numpy().astype(np.float32)) for k, v in out.items()}
            safetensors.numpy.save_file(out, HERE / f"{name}.safetensors", {"gain": str(gain), "tensors": digest})
        print(f' "{name.removesuffix("_timm")}": {{\n  "timm": {json.dumps(counts(name))}\n }},', flush=True)


if __name__ == "__main__":
    torch.set_num_threads(2)
    main(sys.argv[1:])
