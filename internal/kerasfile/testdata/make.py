"""Makes the small files that the tests read.

    KERAS_BACKEND=jax python3 make.py

Needs Keras 3 (made with 3.15) and h5py. All files but the refused ones hold a model with the same weights:
element i of the k-th tensor, by names in order, is 100k + i.
"""

import pathlib
import shutil
import zipfile

import h5py
import keras
import numpy as np
from keras import layers
from keras.src.legacy.saving import legacy_h5_format

HERE = pathlib.Path(__file__).parent


def network():
    x = keras.Input((8, 8, 2))
    y = layers.Conv2D(3, 3, name="stem")(x)
    y = layers.BatchNormalization(name="stem_bn")(y)
    y = layers.BatchNormalization(scale=False)(y)
    y = layers.DepthwiseConv2D(3, name="dw", use_bias=False)(y)
    y = layers.SeparableConv2D(4, 3, name="sep")(y)
    y = layers.Conv2D(2, 1)(y)
    y = layers.Conv2D(2, 1)(y)
    return keras.Model(x, y, name="network")


def fill(model):
    tensors = {}
    for layer in model._flatten_layers():
        if not hasattr(layer, "layers"):
            for v in layer.weights:
                tensors[f"{layer.name}/{v.name}"] = v
    # Names as if no other model had been made in this session.
    renamed = {}
    for name, v in tensors.items():
        for base in ("conv2d", "batch_normalization"):
            numbers = sorted({int("0" + n.split("/")[0][len(base) + 1 :]) for n in tensors if n.startswith(base)})
            if name.startswith(base):
                layer, variable = name.split("/")
                number = int("0" + layer[len(base) + 1 :]) - numbers[0]
                name = (f"{base}_{number}" if number else base) + "/" + variable
        renamed[name] = v
    for k, name in enumerate(sorted(renamed)):
        v = renamed[name]
        v.assign((np.arange(np.prod(v.shape)).reshape(v.shape) + 100 * k).astype("float32"))


def without_names(source, target):
    """As Keras before 3.10 wrote: groups of layers without the attribute that tells the layer's name."""
    shutil.copy(source, target)
    with h5py.File(target, "a") as f:
        f.visititems(lambda _, o: o.attrs.pop("name", None) and None)


def older(source, target):
    """As Keras 2 wrote: ":0" behind names, the kernel of a depthwise convolution by a name of its own, and
    lists that are too long for an attribute in several."""
    with h5py.File(source) as old, h5py.File(target, "w") as new:
        names = [str(n) for n in old.attrs["layer_names"]]
        new.attrs["layer_names0"], new.attrs["layer_names1"] = [n.encode() for n in names[:3]], [n.encode() for n in names[3:]]
        for layer in names:
            group = new.create_group(layer)
            written = []
            for weight in map(str, old[layer].attrs["weight_names"]):
                name = weight.replace("dw/kernel", "dw/depthwise_kernel") + ":0"
                group[name] = old[layer][weight][()]
                written.append(name.encode())
            group.attrs["weight_names0"] = written[:1]
            group.attrs["weight_names1"] = written[1:]


def main():
    model = network()
    fill(model)
    model.save(HERE / "whole.h5")
    with h5py.File(HERE / "list.h5", "w") as f:
        legacy_h5_format.save_weights_to_hdf5_group(f, model)
    older(HERE / "list.h5", HERE / "keras2.h5")
    model.save_weights(HERE / "groups.weights.h5")
    model.save(HERE / "archive.keras")
    without_names(HERE / "groups.weights.h5", HERE / "nameless.weights.h5")
    with zipfile.ZipFile(HERE / "archive.keras") as old, zipfile.ZipFile(HERE / "nameless.keras", "w") as new:
        for name in ("metadata.json", "config.json"):
            new.writestr(name, old.read(name))
        new.write(HERE / "nameless.weights.h5", "model.weights.h5")
        with zipfile.ZipFile(HERE / "refused_packed.keras", "w", zipfile.ZIP_DEFLATED) as packed:
            for name in old.namelist():
                packed.writestr(name, old.read(name))

    # The same network, whose layers are numbered on, in another, trained and with its optimiser.
    inner = network()
    outer = keras.Sequential([keras.Input((8, 8, 2)), layers.Rescaling(1.0), layers.RandomFlip(), inner,
                              layers.GlobalAveragePooling2D()])
    outer.compile("sgd", "mse")
    outer.fit(np.zeros((1, 8, 8, 2)), np.zeros((1, 2)), verbose=0)
    fill(outer)
    outer.save(HERE / "nested.h5")
    outer.save_weights(HERE / "nested.weights.h5")

    for kind in ("float16", "bfloat16"):
        keras.config.set_dtype_policy(kind)
        dense = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="d")])
        fill(dense)
        dense.save(HERE / f"{kind}.h5")
        dense.save_weights(HERE / f"{kind}.weights.h5")

    with h5py.File(HERE / "keras1.h5", "w") as f:  # as the first files of keras.applications are
        f.attrs["layer_names"] = [b"input_1", b"block1_conv1", b"bn"]
        f.create_group("input_1").attrs["weight_names"] = np.array([], "S1")
        for layer, weights in (
            ("block1_conv1", ["block1_conv1_W_1:0", "block1_conv1_b_1:0"]),
            ("bn", ["bn_gamma_1:0", "bn_beta_1:0", "bn_running_mean_1:0", "bn_running_std_1:0"]),
        ):
            f.create_group(layer).attrs["weight_names"] = [w.encode() for w in weights]
            for i, w in enumerate(weights):
                f[layer][w] = np.full(2, i, np.float32)
    with h5py.File(HERE / "slashes.h5", "w") as f:  # as the first DenseNets of keras.applications are
        f.attrs["layer_names"] = [b"conv1/conv", b"conv1/bn", b"bn"]
        for layer, weight in (("conv1/conv", "kernel"), ("conv1/bn", "beta"), ("bn", "beta")):
            f.create_group(layer).attrs["weight_names"] = [f"{layer}/{weight}:0".encode()]
            f[layer][f"{layer}/{weight}:0"] = np.zeros(2, np.float32)
    with h5py.File(HERE / "refused_other.h5", "w") as f:
        f["data/x"] = np.zeros(3, np.float32)
    with h5py.File(HERE / "refused_missing.h5", "w") as f:
        f.attrs["layer_names"] = [b"a"]
        f.create_group("a").attrs["weight_names"] = [b"a/kernel:0"]
    with zipfile.ZipFile(HERE / "refused_arrays.keras", "w") as f:
        f.writestr("config.json", "{}")
        f.writestr("model.weights.npz", "")


if __name__ == "__main__":
    main()
