"""Makes <name>_timm.safetensors and <name>_timm_tf.safetensors: the reference outputs of timm's
networks that the Go networks are held against, and timm.json: how timm's configurations say that
pixels must be prepared.

    python3 make_timm.py [NAME…]

Weights, input and contents are as in make_torchvision.py, with timm's names of tensors; of the
features there are the first 256, and there is one case: what differs from torchvision's networks are
names, or what another size of input shows as well. Those whose state dict has torchvision's names and
shapes are compared with torchvision's here, with the same weights, and need no file.

Needs timm, torchvision and safetensors.
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

import make_torchvision as formula
from make_efficientnet_lite0 import pixels

HERE = pathlib.Path(__file__).parent
NETWORKS = {
    # name: timm's model, gain, case
    "mobilenet_v2_timm": ("mobilenetv2_100", 0.85, (2, 97, 130)),
    "efficientnet_b0_timm": ("efficientnet_b0", 1.1, (2, 97, 130)),
    "efficientnet_b0_timm_tf": ("tf_efficientnet_b0", 1.1, (2, 97, 130)),
    "efficientnet_lite0_timm": ("efficientnet_lite0", 0.85, (2, 97, 130)),
    "efficientnet_lite0_timm_tf": ("tf_efficientnet_lite0", 0.85, (2, 97, 130)),
    "inception_resnet_v2_timm": ("inception_resnet_v2", 1.0, (2, 107, 140)),
    "vgg16_timm": ("vgg16", 1.0, (2, 224, 224)),
    "vgg19_timm": ("vgg19", 1.0, (2, 224, 224)),
    "convnext_tiny_timm": ("convnext_tiny", 1.0, (2, 97, 130)),
}
SAME = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "densenet121", "inception_v3"]
PUBLISHED = [
    "resnet18.a1_in1k", "resnet34.a1_in1k", "resnet50.a1_in1k", "resnet101.a1_in1k", "resnet152.a1_in1k",
    "vgg16.tv_in1k", "vgg19.tv_in1k", "densenet121.ra_in1k", "mobilenetv2_100.ra_in1k",
    "efficientnet_b0.ra_in1k", "tf_efficientnet_b0.ns_jft_in1k", "efficientnet_lite0.ra_in1k",
    "tf_efficientnet_lite0.in1k", "inception_v3.gluon_in1k", "inception_resnet_v2.tf_in1k",
    "vit_small_patch16_224.augreg_in21k_ft_in1k", "deit_small_patch16_224.fb_in1k", "vit_base_patch16_224.augreg2_in21k_ft_in1k",
    "deit_base_patch16_224.fb_in1k", "convnext_tiny.fb_in1k", "vit_base_patch16_clip_224.openai", "vit_base_patch32_clip_224.openai",
    "vit_base_patch16_siglip_224.webli",
]


def filled(net, gain):
    """The network with weights of the formula, and the digest of its tensors' names and shapes."""
    net.eval()
    tensors = {k: tuple(v.shape) for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    lines = "".join(f"{k} {list(tensors[k])}\n" for k in sorted(tensors))
    net.load_state_dict({k: formula.fill(k, v, gain) for k, v in tensors.items()}, strict=False)
    return net, hashlib.sha256(lines.encode()).hexdigest()


def layers(net, x):
    """The last map, what is pooled of it, and the logits."""
    with torch.no_grad():
        last = net.forward_features(x)
        pooled = net.forward_head(last, pre_logits=True) if isinstance(net, timm.models.ConvNeXt) else last.mean((2, 3))
        return {"last": last, "pooled": pooled, "logits": net.forward_head(last)}


def compare(name):
    """Fails unless timm's network gives what torchvision's gives, with the same weights."""
    options = {"aux_logits": False, "init_weights": False} if name == "inception_v3" else {}
    ours, digest = filled(torchvision.models.get_model(name, weights=None, **options), formula.GAINS[name])
    theirs, other = filled(timm.create_model(name), formula.GAINS[name])
    x = (pixels(2, 107, 140).float() - 127) / 128
    with torch.no_grad():
        a, b = ours(x), theirs(x)
    off = ((a - b).abs().max() / a.abs().max()).item()
    print(f"{name}: timm's names are torchvision's: {digest == other}; logits off by {off:.2g}", flush=True)
    assert digest == other and off < 1e-5


def configurations():
    found = {}
    for model in PUBLISHED:
        c = timm.get_pretrained_cfg(model)
        found[model] = {
            "hub": c.hf_hub_id, "licence": c.license, "size": c.input_size[1], "crop": c.crop_pct,
            "mean": c.mean, "std": c.std, "interpolation": c.interpolation,
        }
    lines = (f" {json.dumps(model)}: {json.dumps(c)}" for model, c in found.items())
    (HERE / "timm.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def main(names):
    if not names:
        configurations()
        for name in SAME:
            compare(name)
    for name in names or NETWORKS:
        model, gain, case = NETWORKS[name]
        net, digest = filled(timm.create_model(model), gain)
        n, h, w = case
        found = layers(net.double(), (pixels(*case) - 127) / 128)
        moments = []
        for layer, y in found.items():
            each = y.flatten(1)
            moments.append(torch.stack([each.mean(1), each.std(1, unbiased=False)], 1))
            between = (each[0] - each[1]).square().mean().sqrt() / each.square().mean().sqrt()
            print(f"{name} {h}x{w} {layer}: largest value {y.abs().max():.3g}; mean {y.mean():.3g},"
                  f" deviation {y.std():.3g}, between pictures {between:.2g}", flush=True)
        out = {
            f"{h}x{w}/moments": torch.stack(moments, 1),
            f"{h}x{w}/last": found["last"][:, :32, -2:, -2:].permute(0, 2, 3, 1),
            f"{h}x{w}/pooled": found["pooled"][:, :256],
            f"{h}x{w}/logits": found["logits"][:, :200],
        }
        out = {k: np.ascontiguousarray(v.numpy().astype(np.float32)) for k, v in out.items()}
        safetensors.numpy.save_file(out, HERE / f"{name}.safetensors", {"gain": str(gain), "tensors": digest})


if __name__ == "__main__":
    main(sys.argv[1:])
