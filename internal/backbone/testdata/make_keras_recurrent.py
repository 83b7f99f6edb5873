"""Writes small recurrent models as Keras saves them, into the folder recurrent, and what they give for two padded texts, outputs.json.

    PYTHONPATH=… python3 make_keras_recurrent.py

keras3.keras, keras3.weights.h5 and keras3.h5 are of Keras 3: an embedding whose padding is masked, a bidirectional LSTM, a GRU and
a dense layer. keras2.h5 is of Keras 2 (package tf_keras): an LSTM and a GRU with the recurrent activation that Keras had before 2.3,
hard_sigmoid, clamp(x/5 + 1/2). Two others compute what tlpipe does not. Needs keras 3, tf_keras and TensorFlow.
"""

import json
import os
import pathlib

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tf_keras

HERE = pathlib.Path(__file__).parent / "recurrent"
TEXTS = np.array([[1, 5, 2, 6, 3], [4, 6, 0, 0, 0]])


def fill(model):
    """Weights that differ from one another, of about the size of trained ones."""
    draw = np.random.default_rng(0)
    for v in model.weights:
        v.assign(draw.uniform(-0.9, 0.9, v.shape).astype("float32"))


def save(model, names):
    fill(model)
    for name in names:
        (model.save_weights if name.endswith(".weights.h5") else model.save)(str(HERE / name))
    return model.predict(TEXTS, verbose=0).tolist()


def main():
    HERE.mkdir(exist_ok=True)
    layers = keras.layers
    three = keras.Sequential([
        keras.Input((None,)),
        layers.Embedding(7, 3, mask_zero=True),
        layers.Bidirectional(layers.LSTM(2, return_sequences=True)),
        layers.GRU(3),
        layers.Dense(2),
    ])
    found = {"keras3": save(three, ["keras3.keras", "keras3.weights.h5", "keras3.h5"])}
    layers = tf_keras.layers
    two = tf_keras.Sequential([
        tf_keras.Input((None,)),
        layers.Embedding(7, 3, mask_zero=True),
        layers.LSTM(2, return_sequences=True, recurrent_activation="hard_sigmoid"),
        layers.GRU(3, recurrent_activation="hard_sigmoid"),
        layers.Dense(2),
    ])
    found["keras2"] = save(two, ["keras2.h5"])
    refused = {
        "other_gates.keras": dict(recurrent_activation="hard_sigmoid"),  # clamp(x/6 + 1/2) in Keras 3
        "relu.keras": dict(activation="relu"),
    }
    for name, how in refused.items():
        model = keras.Sequential([keras.Input((None,)), keras.layers.Embedding(7, 3), keras.layers.LSTM(2, **how)])
        model.save(str(HERE / name))
    (HERE / "outputs.json").write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
