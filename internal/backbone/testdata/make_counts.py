"""Makes counts.json: for each backbone and variant, as the framework's own network has it,

    parameters      numbers that are trained, classifier included
    trunk           those without the classifier
    statistics      other numbers: running means and variances
    multiply_adds   of convolutions and dense layers, for one picture of the default size
    depth           how many convolutions and dense layers there are

    KERAS_BACKEND=jax python3 make_counts.py

PyTorch's networks count their own operations (torch.utils.flop_counter); Keras' are counted by the
shapes of their layers. The numbers of Keras' EfficientNet that normalise pixels are left out. Needs
torchvision, timm and Keras.
"""

import json
import pathlib

import keras
import timm
import torch
import torchvision
from torch.utils.flop_counter import FlopCounterMode

HERE = pathlib.Path(__file__).parent
TORCHVISION = [
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "mobilenet_v2", "vgg16", "vgg19",
    "densenet121", "efficientnet_b0", "inception_v3",
]
KERAS = {
    "resnet50": "ResNet50", "resnet101": "ResNet101", "resnet152": "ResNet152", "mobilenet_v2": "MobileNetV2",
    "vgg16": "VGG16", "vgg19": "VGG19", "densenet121": "DenseNet121", "efficientnet_b0": "EfficientNetB0",
    "inception_v3": "InceptionV3", "inception_resnet_v2": "InceptionResNetV2", "nasnet_mobile": "NASNetMobile",
}
TIMM = {
    ("efficientnet_lite0", "tensorflow"): "tf_efficientnet_lite0",
    ("efficientnet_lite0", "timm"): "efficientnet_lite0",
    ("inception_resnet_v2", "timm"): "inception_resnet_v2",
}


def torch_counts(net, trunk_without, size):
    net = net.eval()
    depth = sum(isinstance(m, (torch.nn.Conv2d, torch.nn.Linear)) for m in net.modules())
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, 3, size, size))
    parameters = sum(p.numel() for p in net.parameters())
    top = sum(p.numel() for name, p in net.named_parameters() if name.startswith(trunk_without))
    return {
        "parameters": parameters,
        "trunk": parameters - top,
        "statistics": sum(b.numel() for name, b in net.named_buffers() if "running" in name),
        "multiply_adds": counter.get_total_flops() // 2,
        "depth": depth,
    }


def keras_counts(model, bare):
    multiply_adds = depth = 0
    for layer in model.layers:
        weights = {v.name: v.shape for v in layer.weights}
        positions = 1
        if len(layer.output.shape) == 4:
            positions = layer.output.shape[1] * layer.output.shape[2]
        for name, shape in weights.items():
            if name.endswith("kernel"):
                depth += 1
                size = 1
                for n in shape:
                    size *= n
                multiply_adds += positions * size
    normalisation = [v for layer in model.layers if isinstance(layer, keras.layers.Normalization) for v in layer.weights]
    trained = sum(int(keras.ops.size(v)) for v in model.trainable_weights)
    return {
        "parameters": trained,
        "trunk": sum(int(keras.ops.size(v)) for v in bare.trainable_weights),
        "statistics": model.count_params() - trained - sum(int(keras.ops.size(v)) for v in normalisation),
        "multiply_adds": multiply_adds,
        "depth": depth,
    }


def main():
    found = {}
    for name in TORCHVISION:
        options = {"aux_logits": False, "init_weights": False} if name == "inception_v3" else {}
        net = torchvision.models.get_model(name, weights=None, **options)
        size = 299 if name == "inception_v3" else 224
        found.setdefault(name, {})["torchvision"] = torch_counts(net, ("classifier", "fc"), size)
    for name, model in KERAS.items():
        application = getattr(keras.applications, model)
        found.setdefault(name, {})["keras"] = keras_counts(application(weights=None), application(weights=None, include_top=False))
    for (name, variant), model in TIMM.items():
        net = timm.create_model(model)
        size = net.default_cfg["input_size"][1]
        found.setdefault(name, {})[variant] = torch_counts(net, ("classifier", "classif"), size)
    lines = (
        f" {json.dumps(name)}: {{\n"
        + ",\n".join(f"  {json.dumps(variant)}: {json.dumps(counts)}" for variant, counts in variants.items())
        + "\n }"
        for name, variants in found.items()
    )
    (HERE / "counts.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
