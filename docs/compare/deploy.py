"""Holds files that `tlpipe export --examples DIR` wrote against what tlpipe computes, with the runtimes that read them.

    python deploy.py FILE DIR [FILE DIR ...]

FILE ends in .onnx (onnxruntime), .tflite (ai-edge-litert) or .keras (keras with one of its backends, such as tensorflow-cpu). DIR holds images.npy, uint8 [n, height, width, 3],
or ids.npy and mask.npy, int64 [n, tokens], of texts, or vectors.npy, float32; and outputs.npy, float32 [n, classes]. Prints a line for each file: the largest difference, the range of all outputs, and how many images get the same class.
Exits with 1 if a file of float32 differs by more than 1e-4 (a .keras file: or a millionth of its largest logit), one of float16 by more than 0.05, or one of int8 in the class of
more than 1 % of the images.
"""
import io
import json
import os
import sys
import time
import zipfile

import numpy as np


def onnx(path, *inputs):
    import onnx as onnx_format
    import onnxruntime

    onnx_format.checker.check_model(path, full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    metadata = session.get_modelmeta().custom_metadata_map

    def run(rows):
        return session.run(None, {name: values[rows] for name, values in zip(names, inputs)})[0]

    out = [run(slice(i, i + 1)) for i in range(len(inputs[0]))]
    together = run(slice(None))
    assert np.abs(together - np.concatenate(out)).max() <= 1e-4 * max(1, np.abs(together).max()), "a batch gives something else"
    began = time.perf_counter()
    run(slice(0, 1))
    return np.concatenate(out), metadata["precision"], json.loads(metadata["classes"]), time.perf_counter() - began


def tflite(path, images):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path)
    interpreter.allocate_tensors()
    given, told = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    out, took = [], 0
    for image in images:
        interpreter.set_tensor(given["index"], image[None])
        began = time.perf_counter()
        interpreter.invoke()
        took = time.perf_counter() - began
        y = interpreter.get_tensor(told["index"])
        if y.dtype != np.float32:
            scale, zero = told["quantization"]
            y = (y.astype(np.float32) - zero) * scale
        out.append(y)
    precision = "float32"
    types = [str(d["dtype"]) for d in interpreter.get_tensor_details()]
    if any("float16" in t for t in types):
        precision = "float16"
    if any("int8" in t and "uint8" not in t for t in types):
        precision = "int8"
    return np.concatenate(out), precision, None, took


def keras(path, images):
    import h5py
    import keras as keras_framework

    with zipfile.ZipFile(path) as archive:
        classes = json.loads(archive.read("metadata.json"))["classes"]
        weights = archive.read("model.weights.h5")
    model = keras_framework.saving.load_model(path)
    began = time.perf_counter()
    model.predict(images[:1], verbose=0)
    took = time.perf_counter() - began
    with h5py.File(io.BytesIO(weights)) as file:
        types = set()
        file.visititems(lambda name, item: types.add(str(item.dtype)) if isinstance(item, h5py.Dataset) else None)
    logits = keras_framework.Model(model.inputs, model.layers[-1].input).predict(images, verbose=0)
    global largest_logit
    largest_logit = float(np.abs(logits).max())
    return model.predict(images, verbose=0), "float16" if "float16" in types else "float32", classes, took


# Of the .keras file that was run last. A probability moves by a quarter of what its logit moves by, and float32 leaves an error in the logits
# that grows with them: random weights, whose values no training has kept near 1, give logits of some hundreds.
largest_logit = 0.0


def main(arguments):
    global largest_logit
    failed = False
    for path, folder in zip(arguments[::2], arguments[1::2]):
        names = [n for n in ("images.npy", "ids.npy", "mask.npy", "vectors.npy") if os.path.exists(os.path.join(folder, n))]
        inputs, want = [np.load(os.path.join(folder, name)) for name in names], np.load(os.path.join(folder, "outputs.npy"))
        largest_logit = 0.0
        got, precision, classes, seconds = {"onnx": onnx, "tflite": tflite, "keras": keras}[path.rsplit(".", 1)[1]](path, *inputs)
        got = got.reshape(want.shape)
        assert classes is None or len(classes) == want.shape[1]
        scale = max(1, np.abs(want).max())
        difference = np.abs(got - want).max() / scale
        same = (got.argmax(1) == want.argmax(1)).sum()
        good = {"float32": difference <= max(1e-4, 1e-6 * largest_logit), "float16": difference <= 0.05, "int8": same >= 0.99 * len(want)}[precision]
        failed |= not good
        print(f"{os.path.basename(path):40} {precision:8} {os.path.getsize(path) / 1e6:8.2f} MB  difference {difference:.2e} of {np.ptp(want) / scale:.1e}  "
              f"same class {same}/{len(want)}  {1000 * seconds:.1f} ms  {'ok' if good else 'DIFFERS'}"
              + (f"  {difference / largest_logit:.1e} of the largest logit, {largest_logit:.0f}" if largest_logit > 100 else ""), flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
