"""Writes files of weights as the frameworks do, each in the formats that people have, and what the networks
put out, for TestFilesOfFrameworks:

    KERAS_BACKEND=jax python3 make_files.py DIR
    TLPIPE_HEAVY=1 TLPIPE_FILES=DIR go test ./internal/backbone -run TestFilesOfFrameworks

DIR takes about 1 GB. Weights are random. expected.safetensors has, for each file, its picture (NHWC), the
pooled features and the logits; its metadata tell each file's backbone.

Needs PyTorch, torchvision, safetensors, Keras 3 and h5py.
"""

import pathlib
import sys

import h5py
import keras
import numpy as np
import torch
import torchvision
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

OUT = pathlib.Path(sys.argv[1])
RANDOM = np.random.default_rng(7)
expected, backbones = {}, {}


def draw(name, shape):
    """Weights with which activations neither die nor grow, and statistics that matter."""
    kind = name.replace("/", ".").rsplit(".", 1)[-1]
    x = RANDOM.normal(size=shape)
    if "var" in kind:
        return 1 + 0.3 * np.tanh(x)
    if kind in ("gamma", "weight", "beta", "bias", "running_mean", "moving_mean") and len(shape) == 1:
        return (1 if kind in ("gamma", "weight") else 0) + 0.1 * x
    outputs = shape[0] if kind == "weight" else shape[-2] if "depthwise" in kind or shape[-1] == 1 else shape[-1]
    return x * np.sqrt(2 / (x.size / outputs))


def expect(backbone, files, image, pooled, logits):
    for file in files:
        backbones[file] = backbone
        for what, x in (("image", image), ("pooled", pooled), ("logits", logits)):
            expected[f"{file}/{what}"] = np.ascontiguousarray(x, np.float32)


def of_torch():
    for name, pooling in (("resnet18", "avgpool"), ("mobilenet_v2", "classifier.0")):
        model = getattr(torchvision.models, name)(weights=None).eval()
        state = model.state_dict()
        for key, x in state.items():
            if x.is_floating_point():
                x.copy_(torch.tensor(draw(key, tuple(x.shape))))
        pooled = []
        model.get_submodule(pooling).register_forward_hook(lambda *a: pooled.append(a[2].flatten(1)))
        image = torch.tensor(RANDOM.normal(size=(1, 3, 224, 224)), dtype=torch.float32)
        with torch.no_grad():
            logits = model(image)
        torch.save(state, OUT / f"{name}.pth")
        torch.save(state, OUT / f"{name}_legacy.pth", _use_new_zipfile_serialization=False)
        torch.save({"model": {"module." + k: v for k, v in state.items()}, "epoch": 3}, OUT / f"{name}_checkpoint.pt")
        torch.save({k: v.to(memory_format=torch.channels_last) if v.dim() == 4 else v for k, v in state.items()},
                   OUT / f"{name}_channels_last.bin")
        save_torch(state, OUT / f"{name}.safetensors")
        files = [f"{name}{x}" for x in (".pth", "_legacy.pth", "_checkpoint.pt", "_channels_last.bin", ".safetensors")]
        expect(name, files, image.permute(0, 2, 3, 1), pooled[0], logits)


def of_keras():
    for name, model_name, size in (
        ("mobilenet_v2", "MobileNetV2", 224), ("inception_v3", "InceptionV3", 299), ("efficientnet_b0", "EfficientNetB0", 224),
        ("nasnet_mobile", "NASNetMobile", 224), ("densenet121", "DenseNet121", 224), ("resnet50", "ResNet50", 224),
    ):
        # Not the first model of this session: layers without a name are numbered on.
        model = getattr(keras.applications, model_name)(weights=None, classifier_activation=None)
        for layer in model.layers:
            for v in layer.weights:
                if layer.name != "normalization" and not layer.name.startswith("normalization"):
                    v.assign(draw(f"{layer.name}/{v.name}", v.shape))
        both = keras.Model(model.inputs, [model.layers[-1].input, model.output])
        image = RANDOM.normal(size=(1, size, size, 3)).astype(np.float32)
        pooled, logits = both(image * 255 if name == "efficientnet_b0" else image)  # which divides by that itself
        if name == "efficientnet_b0":
            pooled = keras.Model(model.inputs, model.get_layer("avg_pool").output)(image * 255)
        model.save(OUT / f"{name}_keras.h5")
        model.save_weights(OUT / f"{name}_keras.weights.h5")
        model.save(OUT / f"{name}_keras.keras")
        nameless = OUT / f"{name}_nameless.weights.h5"
        model.save_weights(nameless)
        with h5py.File(nameless, "a") as f:  # as before Keras 3.10
            f.visititems(lambda _, o: o.attrs.pop("name", None) and None)
        renamed(OUT / f"{name}_keras.h5", OUT / f"{name}_renamed.h5")
        files = [f"{name}{x}" for x in ("_keras.h5", "_keras.weights.h5", "_keras.keras", "_nameless.weights.h5", "_renamed.h5")]
        expect(name, files, image, np.asarray(pooled), np.asarray(logits))


def renamed(source, target):
    """As older versions of keras.applications published: layers have other names, in the same order."""
    with h5py.File(source) as old, h5py.File(target, "w") as new:
        old = old["model_weights"]
        layers = [str(n) for n in old.attrs["layer_names"]]
        new.attrs["layer_names"] = [f"l_{i}_x".encode() for i in range(len(layers))]
        for i, layer in enumerate(layers):
            group = new.create_group(f"l_{i}_x")
            names = []
            for weight in old[layer].attrs["weight_names"]:
                if layer.startswith("normalization"):
                    continue
                name = f"l_{i}_x/" + str(weight).rsplit("/", 1)[-1] + ":0"
                group[name] = old[layer][str(weight)][()]
                names.append(name.encode())
            group.attrs["weight_names"] = np.array(names, dtype="S") if names else np.array([], "S1")


of_torch()
of_keras()
save_file(expected, OUT / "expected.safetensors", backbones)
