"""Makes the reference outputs of SigLIP's picture tower, as timm and as transformers have it, and of CLIP's with the names of the
files that OpenAI published, whose network is written out here; and SigLIP's numbers for counts.json (on the standard output).

    python3 make_picture_towers.py [NAME…]

Weights, input and contents are as in make_vision_transformers.py. transformers itself resizes its positions.

Needs timm, transformers and safetensors.
"""

import hashlib
import json
import pathlib
import sys

import numpy as np
import safetensors.numpy
import timm
import torch
import torch.nn.functional as F
import transformers
from torch.utils.flop_counter import FlopCounterMode

import make_torchvision as formula
import make_vision_transformers as transformer
from make_efficientnet_lite0 import pixels

HERE = pathlib.Path(__file__).parent
BLOCKS = 12


def shapes_of_siglip():
    net = transformers.SiglipVisionModel(transformers.SiglipVisionConfig())
    return {"vision_model." + k: tuple(v.shape) for k, v in net.state_dict().items()}


def siglip(weights, x):
    net = transformers.SiglipVisionModel(transformers.SiglipVisionConfig(attn_implementation="eager")).eval().double()
    net.load_state_dict({k.removeprefix("vision_model."): v for k, v in weights.items()})
    found = net(x, interpolate_pos_encoding=True)
    return found.last_hidden_state, {"pooled": found.pooler_output}


def shapes_of_siglip_timm():
    return {k: tuple(v.shape) for k, v in timm.create_model("vit_base_patch16_siglip_224").state_dict().items()}


def siglip_timm(weights, x):
    grid = x.shape[2] // 16, x.shape[3] // 16
    net = timm.create_model("vit_base_patch16_siglip_224", img_size=tuple(x.shape[2:])).eval().double()
    weights = dict(weights, pos_embed=transformer.resized(weights["pos_embed"].double(), 14, 0, grid))
    net.load_state_dict(weights)
    t = net.forward_features(x)
    return t, {"pooled": net.forward_head(t)}


def shapes_of_clip(width=768, patch=32, side=7, out=512):
    shapes = {"class_embedding": (width,), "positional_embedding": (1 + side * side, width), "conv1.weight": (width, 3, patch, patch), "proj": (width, out)}
    for norm in ["ln_pre", "ln_post"]:
        shapes |= {norm + ".weight": (width,), norm + ".bias": (width,)}
    for i in range(BLOCKS):
        block = f"transformer.resblocks.{i}."
        for name, rows, columns in [("attn.in_proj_", 3 * width, width), ("attn.out_proj.", width, width), ("mlp.c_fc.", 4 * width, width), ("mlp.c_proj.", width, 4 * width)]:
            shapes |= {block + name + "weight": (rows, columns), block + name + "bias": (rows,)}
        for norm in ["ln_1", "ln_2"]:
            shapes |= {block + norm + ".weight": (width,), block + norm + ".bias": (width,)}
    return {"visual." + k: v for k, v in shapes.items()}


def clip(weights, x):
    w = {k.removeprefix("visual."): v.double() for k, v in weights.items()}
    width, heads = w["ln_pre.weight"].shape[0], w["ln_pre.weight"].shape[0] // 64
    patch, side = w["conv1.weight"].shape[2], round((len(w["positional_embedding"]) - 1) ** 0.5)
    grid = x.shape[2] // patch, x.shape[3] // patch

    def norm(name, t):
        return F.layer_norm(t, (width,), w[name + ".weight"], w[name + ".bias"], 1e-5)

    def dense(name, t):
        return F.linear(t, w[name + "weight"], w[name + "bias"])

    t = F.conv2d(x, w["conv1.weight"], stride=patch).flatten(2).transpose(1, 2)
    t = torch.cat([w["class_embedding"].expand(len(x), 1, width), t], 1)
    t = norm("ln_pre", t + transformer.resized(w["positional_embedding"][None], side, 1, grid))
    for i in range(BLOCKS):
        block = f"transformer.resblocks.{i}."
        q, k, v = dense(block + "attn.in_proj_", norm(block + "ln_1", t)).unflatten(2, (3, heads, 64)).permute(2, 0, 3, 1, 4)
        a = ((q @ k.transpose(2, 3)) / 8).softmax(3) @ v
        t = t + dense(block + "attn.out_proj.", a.transpose(1, 2).flatten(2))
        y = dense(block + "mlp.c_fc.", norm(block + "ln_2", t))
        t = t + dense(block + "mlp.c_proj.", y * torch.sigmoid(1.702 * y))
    t = norm("ln_post", t)
    return t[:, 1:], {"pooled": t[:, 0], "logits": t[:, 0] @ w["proj"]}


NETWORKS = {
    # name: shapes of the tensors, the network, patch, cases
    "siglip_b16": (shapes_of_siglip, siglip, 16, [(2, 224, 224), (2, 80, 112)]),
    "siglip_b16_timm": (shapes_of_siglip_timm, siglip_timm, 16, [(2, 80, 112)]),
    "clip_b32_openai": (shapes_of_clip, clip, 32, [(2, 160, 256)]),
}


def counts():
    net = timm.create_model("vit_base_patch16_siglip_224").eval().requires_grad_(False)  # hooks of the counter want no gradients
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, 3, 224, 224))
    parameters = sum(p.numel() for p in net.parameters())
    depth = sum(isinstance(m, (torch.nn.Conv2d, torch.nn.Linear)) for m in net.modules()) + 2 * BLOCKS + 1
    return {"parameters": parameters, "trunk": parameters, "statistics": 0, "multiply_adds": counter.get_total_flops() // 2, "depth": depth}


def main(names):
    for name in names or NETWORKS:
        shapes_of, network, patch, cases = NETWORKS[name]
        shapes = shapes_of()
        lines = "".join(f"{k} {list(shapes[k])}\n" for k in sorted(shapes))
        weights = {k: formula.fill(k, v, 1.0) for k, v in shapes.items()}
        out = {}
        for case in cases:
            n, h, w = case
            with torch.no_grad():
                tokens, found = network(weights, (pixels(*case).double() - 127) / 128)
            found = {"last": tokens.transpose(1, 2).reshape(n, -1, h // patch, w // patch), **found}
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
        out = {k: np.ascontiguousarray(v.numpy().astype(np.float32)) for k, v in out.items()}
        digest = hashlib.sha256(lines.encode()).hexdigest()
        safetensors.numpy.save_file(out, HERE / f"{name}.safetensors", {"gain": "1.0", "tensors": digest})
    print(json.dumps(counts()))


if __name__ == "__main__":
    torch.set_num_threads(2)
    main(sys.argv[1:])
