"""The accuracy of exported files in ONNX Runtime and LiteRT, on the test rows of an exported artifact, and what it loses to the first file's.

    tlpipe run docs/compare/int8_emoji.yaml
    tlpipe show docs/compare/int8_emoji.yaml:images --export emoji.arrow
    tlpipe export docs/compare/int8_emoji.yaml:net --out float.onnx
    tlpipe export docs/compare/int8_emoji.yaml:small --out small.onnx
    tlpipe export docs/compare/int8_emoji.yaml:small --out small.tflite
    python exported.py emoji.arrow float.onnx small.onnx small.tflite [--by object] [--rows rows.csv] [--threads 2]

--rows keeps what every row was taken for in a CSV, and a later call with another artifact (another seed) adds to it; the table is of all rows in
it. The interval of the drop is a paired bootstrap with 95 %, of groups of rows with the same value in the column BY, or of the same id: a row that
several seeds tested counts as one group. "alike" is the share of rows that get the first file's class.

Needs: numpy, pyarrow, onnxruntime, ai-edge-litert.
"""
import argparse
import collections
import csv
import json
import pathlib

import numpy as np
import pyarrow
import pyarrow.compute


def onnx(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda pixels: session.run(None, {name: pixels})[0], json.loads(session.get_modelmeta().custom_metadata_map["classes"])


def tflite(path, threads):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path, num_threads=threads)
    interpreter.allocate_tensors()
    given, told = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def run(pixels):
        out = []
        for image in pixels:
            interpreter.set_tensor(given["index"], image[None])
            interpreter.invoke()
            out.append(interpreter.get_tensor(told["index"]).copy())
        return np.concatenate(out)

    return run, None


def interval(differences, groups):
    """That of the mean, drawing groups."""
    at = collections.defaultdict(list)
    for d, g in zip(differences, groups):
        at[g].append(d)
    sums, counts = np.array([sum(v) for v in at.values()]), np.array([len(v) for v in at.values()])
    random = np.random.default_rng(0)
    drawn = [random.integers(0, len(sums), len(sums)) for _ in range(10_000)]
    return np.percentile([sums[d].sum() / counts[d].sum() for d in drawn], [2.5, 97.5])


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("artifact")
    arguments.add_argument("file", nargs="+")
    arguments.add_argument("--by", default="id")
    arguments.add_argument("--rows", type=pathlib.Path)
    arguments.add_argument("--threads", type=int, default=2)
    options = arguments.parse_args()
    table = pyarrow.ipc.open_file(options.artifact).read_all()
    table = table.filter(pyarrow.compute.equal(table["split"], "test"))
    pixels = table["image"].combine_chunks().to_numpy_ndarray()
    labels, groups = table["label"].to_pylist(), table[options.by].to_pylist()
    classes, rows = None, []
    if options.rows and options.rows.exists():
        rows = list(csv.DictReader(options.rows.open()))
    names = [pathlib.Path(f).name for f in options.file]
    own = [{"artifact": options.artifact, "group": g, "label": label} for g, label in zip(groups, labels)]
    for file, name in zip(options.file, names):
        run, told = {".onnx": onnx, ".tflite": tflite}[pathlib.Path(file).suffix](file, options.threads)
        classes = told or classes
        for start in range(0, len(pixels), 50):
            for row, answer in zip(own[start:], run(np.ascontiguousarray(pixels[start:start + 50]))):
                row[name] = classes[answer.argmax()]
    rows += own
    if options.rows:
        with options.rows.open("w", newline="") as f:
            writer = csv.DictWriter(f, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    print(f"{len(rows)} rows of {len({r['group'] for r in rows})} groups\n\n| file | accuracy | drop, points | interval | alike |\n|---|--:|--:|--:|--:|")
    for name in names:
        right = np.array([r[name] == r["label"] for r in rows], float)
        drop = np.array([r[names[0]] == r["label"] for r in rows], float) - right
        low, high = interval(drop, [r["group"] for r in rows])
        alike = np.mean([r[name] == r[names[0]] for r in rows])
        print(f"| {name} | {100 * right.mean():.2f} % | {100 * drop.mean():+.2f} | {100 * low:+.2f} to {100 * high:+.2f} | {100 * alike:.2f} % |")


if __name__ == "__main__":
    main()
