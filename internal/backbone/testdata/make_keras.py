"""Makes <name>.safetensors for networks that keras.applications has and torchvision has not: the
reference outputs that the Go networks are held against.

    KERAS_BACKEND=jax JAX_ENABLE_X64=1 python3 make_keras.py [NAME…]

Weights, input and contents are as in make_torchvision.py, but that tensors are called layer/variable
and lie as Keras has them: element i of a kernel counts in [height, width, in, out], and the fan-in
is that of one output. moving_mean and moving_variance are its running_mean and running_var, gamma its
weight of a batch-norm, beta its bias.

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
NETWORKS = {
    # name: model, layer of the last map (None: its output), gain, cases
    "nasnet_mobile": ("NASNetMobile", None, 0.7, [(2, 224, 224), (2, 97, 130)]),
    "inception_resnet_v2": ("InceptionResNetV2", "conv_7b_ac", 1.0, [(2, 299, 299), (2, 107, 140)]),
}


def fill(name, shape, gain):
    layer, variable = name.rsplit("/", 1)
    torch_name = {"moving_mean": "running_mean", "moving_variance": "running_var", "beta": "bias", "gamma": "weight"}
    size = int(np.prod(shape))
    outputs = shape[-1] if "depthwise" not in variable else shape[-2]
    # As formula.fill, which finds the kind by the last part of the name and the fan-in by the shape.
    u = formula.noise(name, size)
    return formula.scale(torch_name.get(variable, variable), u, gain, len(shape), size // outputs).reshape(shape)


def main(names):
    keras.backend.set_floatx("float64")
    for name in names or NETWORKS:
        model_name, last, gain, cases = NETWORKS[name]
        out = {}
        for n, h, w in cases:
            keras.backend.clear_session()
            # A classifier is only made for the default size, though these pool globally.
            model = getattr(keras.applications, model_name)(include_top=False, input_shape=(h, w, 3), weights=None)
            final = model.get_layer(last).output if last else model.output
            x = keras.layers.GlobalAveragePooling2D()(final)
            logits = keras.layers.Dense(1000, name="predictions")(x)
            model = keras.Model(model.inputs, [final, x, logits])
            digest = hashlib.sha256()
            lines = []
            for layer in model.layers:
                for v in layer.weights:
                    key = f"{layer.name}/{v.name}"
                    lines.append(f"{key} {list(v.shape)}\n")
                    v.assign(fill(key, tuple(v.shape), gain).astype(np.float32))
            for line in sorted(lines):
                digest.update(line.encode())
            image = ((pixels(n, h, w) - 127) / 128).permute(0, 2, 3, 1).numpy()
            found = dict(zip(["last", "pooled", "logits"], (np.asarray(y) for y in model(image))))
            moments = []
            for layer, y in found.items():
                each = y.reshape(n, -1)
                moments.append(np.stack([each.mean(1), each.std(1)], 1))
                between = np.sqrt(((each[0] - each[1]) ** 2).mean() / (each**2).mean())
                print(f"{name} {h}x{w} {layer}: largest value {abs(y).max():.3g}; mean {y.mean():.3g},"
                      f" deviation {y.std():.3g}, between pictures {between:.2g}")
            out[f"{h}x{w}/moments"] = np.stack(moments, 1)
            out[f"{h}x{w}/last"] = found["last"][:, -2:, -2:, :32]
            out[f"{h}x{w}/pooled"] = found["pooled"]
            out[f"{h}x{w}/logits"] = found["logits"][:, :200]
        out = {k: np.ascontiguousarray(v.astype(np.float32)) for k, v in out.items()}
        safetensors.numpy.save_file(
            out, HERE / f"{name}.safetensors", {"gain": str(gain), "tensors": digest.hexdigest()}
        )


if __name__ == "__main__":
    main(sys.argv[1:])
