"""Makes <name>.safetensors for the networks of keras.applications: the reference outputs that the Go
networks are held against. Those that torchvision has too are called <name>_keras.

    KERAS_BACKEND=jax JAX_ENABLE_X64=1 python3 make_keras.py [NAME…]

Weights, input and contents are as in make_torchvision.py, but that tensors are called layer/variable
and lie as Keras has them: element i of a kernel counts in [height, width, in, out], and the fan-in
is that of one output. moving_mean and moving_variance are its running_mean and running_var, gamma its
weight of a batch-norm, beta its bias. Of the features there are the first 256 in <name>_keras.

Keras makes a classifier for one size only where it takes the map itself (VGG); else one on the mean of
the last map is the same for all sizes, and is added here. The pixels are those that the first layer
with weights sees: EfficientNet's own normalisation is left out.

Needs Keras 3 with JAX (its PyTorch back end has no NASNet), PyTorch and safetensors.
"""

import hashlib
import pathlib
import sys

import keras
import numpy as np
import safetensors.numpy

import make_torchvision as formula
from make_efficientnet_lite0 import pixels

HERE = pathlib.Path(__file__).parent
SMALL, LARGE = [(2, 224, 224), (2, 97, 130)], [(2, 299, 299), (2, 107, 140)]
NETWORKS = {
    # name: model, layer of the last map (None: its output), gain, cases
    "nasnet_mobile": ("NASNetMobile", None, 0.7, SMALL),
    "inception_resnet_v2": ("InceptionResNetV2", "conv_7b_ac", 1.0, LARGE),
    "resnet50_keras": ("ResNet50", None, 0.75, SMALL),
    "resnet101_keras": ("ResNet101", None, 0.7, SMALL),
    "resnet152_keras": ("ResNet152", None, 0.67, SMALL),
    "vgg16_keras": ("VGG16", None, 1.0, SMALL),
    "vgg19_keras": ("VGG19", None, 1.0, SMALL),
    "inception_v3_keras": ("InceptionV3", None, 1.0, LARGE),
    "mobilenet_v2_keras": ("MobileNetV2", None, 0.85, SMALL),
    "densenet121_keras": ("DenseNet121", None, 1.0, SMALL),
    "efficientnet_b0_keras": ("EfficientNetB0", None, 1.1, SMALL),
}


def fill(name, shape, gain):
    variable = name.rsplit("/", 1)[1]
    torch_name = {"moving_mean": "running_mean", "moving_variance": "running_var", "beta": "bias", "gamma": "weight"}
    size = int(np.prod(shape))
    outputs = shape[-1] if shape[-1] > 1 else shape[-2]  # a depthwise kernel ends in 1
    # As formula.fill, which finds the kind by the last part of the name and the fan-in by the shape.
    u = formula.noise(name, size)
    return formula.scale(torch_name.get(variable, variable), u, gain, len(shape), size // outputs).reshape(shape)


def build(model_name, last, h, w):
    """The network from its first layer with weights, with the last map, the features and logits."""
    application = getattr(keras.applications, model_name)
    if model_name.startswith("VGG") and (h, w) == (224, 224):
        model = application(weights=None, classifier_activation=None)
        final, logits = model.get_layer("block5_pool").output, [model.output]
    else:
        model = application(include_top=False, input_shape=(h, w, 3), weights=None)
        final, logits = model.get_layer(last).output if last else model.output, []
    pooled = keras.layers.GlobalAveragePooling2D()(final)
    if not model_name.startswith("VGG"):
        logits = [keras.layers.Dense(1000, name="predictions")(pooled)]
    inputs = model.get_layer("stem_conv_pad").input if model_name == "EfficientNetB0" else model.inputs
    return keras.Model(inputs, [final, pooled, *logits])


def main(names):
    keras.backend.set_floatx("float64")
    for name in names or NETWORKS:
        model_name, last, gain, cases = NETWORKS[name]
        out = {}
        for n, h, w in cases:
            keras.backend.clear_session()
            model = build(model_name, last, h, w)
            lines = []
            for layer in model.layers:
                for v in layer.weights:
                    key = f"{layer.name}/{v.name}"
                    lines.append(f"{key} {list(v.shape)}\n")
                    v.assign(fill(key, tuple(v.shape), gain).astype(np.float32))
            if h == w:
                digest = hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()
            image = ((pixels(n, h, w) - 127) / 128).permute(0, 2, 3, 1).numpy()
            found = dict(zip(["last", "pooled", "logits"], (np.asarray(y) for y in model(image))))
            moments = []
            for layer, y in found.items():
                each = y.reshape(n, -1)
                moments.append(np.stack([each.mean(1), each.std(1)], 1))
                between = np.sqrt(((each[0] - each[1]) ** 2).mean() / (each**2).mean())
                print(f"{name} {h}x{w} {layer}: largest value {abs(y).max():.3g}; mean {y.mean():.3g},"
                      f" deviation {y.std():.3g}, between pictures {between:.2g}", flush=True)
            features = 256 if name.endswith("_keras") else None
            out[f"{h}x{w}/moments"] = np.stack(moments, 1)
            out[f"{h}x{w}/last"] = found["last"][:, -2:, -2:, :32]
            out[f"{h}x{w}/pooled"] = found["pooled"][:, :features]
            if "logits" in found:
                out[f"{h}x{w}/logits"] = found["logits"][:, :200]
        out = {k: np.ascontiguousarray(v.astype(np.float32)) for k, v in out.items()}
        safetensors.numpy.save_file(out, HERE / f"{name}.safetensors", {"gain": str(gain), "tensors": digest})


if __name__ == "__main__":
    main(sys.argv[1:])
