"""Compares the training of the tutorial's LSTM with PyTorch: frozen word vectors of 100 dimensions, LSTM 128 at all tokens, LSTM 64 at
the last, dense 32, one class of two; on 1,164 of the built-in mails, 128 words each at most, in batches of 32 with Adam.

    python lstm.py TLPIPE [--rounds 3] [--threads 2]

TLPIPE is the program's path. Both sides train on the same words, in turn; the table has the least seconds of an epoch of all rounds, by
the clock and of the processor. The time of tlpipe is that of a run with five epochs less that of one with two, by three. PyTorch pads
each batch to its longest mail and is measured in two forms:

    padded    the layers take the padding too: the output at the last word of a mail is right, what follows is computed in vain
    packed    pack_padded_sequence, which leaves the padding out and is slow on processors

Needs: torch, pyarrow; Unix.
"""

import argparse
import os
import pathlib
import subprocess
import tempfile
import time

PIPELINE = """
name: lstm
seed: 1
stages:
  mails:
    uses: text
    with: {source: {builtin: mails, only: {part: [few, more]}, split: train}, words: builtin, length: 128}
  net:
    uses: finetune
    from: mails
    with:
      backbone: {layers: [{vectors: builtin, frozen: true}, {lstm: 128, sequences: true}, {lstm: 64}, {dense: 32}, relu]}
      epochs: EPOCHS
      batch_size: 32
      learning_rate: 0.001
"""


def spent(command):
    """Seconds of a command: by the clock, and of the processor."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{command}: status {status}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime


def tlpipe(options, work):
    seconds = {}
    for epochs in 5, 2:
        file = work / f"{epochs}.yaml"
        file.write_text(PIPELINE.replace("EPOCHS", str(epochs)))
        seconds[epochs] = spent([options.tlpipe, "run", file, "--cache", work / "cache", "--force", "net", "--jobs", str(options.threads)])
    return [(a - b) / 3 for a, b in zip(seconds[5], seconds[2])]


def rows(options, work):
    """The words of each mail, as numbers."""
    import pyarrow.parquet

    file = work / "mails.yaml"
    file.write_text(PIPELINE.replace("EPOCHS", "2"))
    subprocess.run([options.tlpipe, "run", file, "--cache", work / "cache", "--only", "mails"], check=True, capture_output=True)
    subprocess.run([options.tlpipe, "show", f"{file}:mails", "--cache", work / "cache", "--export", work / "mails.parquet"], check=True, capture_output=True)
    return pyarrow.parquet.read_table(work / "mails.parquet")["tokens"].to_pylist()


class Network:
    """The tutorial's network in PyTorch, with what trains it."""

    def __init__(self, packed):
        import torch

        self.torch, self.packed = torch, packed
        torch.manual_seed(1)
        self.vectors = torch.nn.Embedding(20002, 100)
        self.vectors.weight.requires_grad_(False)
        self.first, self.second = torch.nn.LSTM(100, 128, batch_first=True), torch.nn.LSTM(128, 64, batch_first=True)
        self.head = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 2))
        parts = torch.nn.ModuleList([self.first, self.second, self.head])
        self.solver = torch.optim.Adam(parts.parameters(), lr=1e-3)

    def logits(self, ids, lengths):
        x = self.vectors(ids)
        if self.packed:
            x = self.torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            return self.head(self.second(self.first(x)[0])[1][0][0])
        states = self.second(self.first(x)[0])[0]
        return self.head(states[self.torch.arange(len(lengths)), lengths - 1])

    def epoch(self, texts):
        torch = self.torch
        order = torch.randperm(len(texts)).tolist()
        for i in range(0, len(order), 32):
            batch = [torch.tensor(texts[j]) for j in order[i : i + 32]]
            lengths = torch.tensor([len(x) for x in batch])
            ids = torch.nn.utils.rnn.pad_sequence(batch, batch_first=True)
            self.solver.zero_grad()
            torch.nn.functional.cross_entropy(self.logits(ids, lengths), torch.tensor([j % 2 for j in order[i : i + 32]])).backward()
            self.solver.step()


def pytorch(options, texts, packed):
    import torch

    torch.set_num_threads(options.threads)
    network = Network(packed)
    network.epoch(texts[:64])  # warms up
    start, before = time.perf_counter(), time.process_time()
    network.epoch(texts)
    return time.perf_counter() - start, time.process_time() - before


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("tlpipe")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--threads", type=int, default=2)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        texts = rows(options, work)
        print(f"{len(texts)} mails, {sum(map(len, texts))} words")
        sides = {"tlpipe": lambda: tlpipe(options, work), "PyTorch, padded": lambda: pytorch(options, texts, False), "PyTorch, packed": lambda: pytorch(options, texts, True)}
        best = {}
        for _ in range(options.rounds):
            for name, run in sides.items():
                best[name] = [min(pair) for pair in zip(best.get(name, [float("inf")] * 2), run())]
        ours = best["tlpipe"]
        for name, (clock, processor) in best.items():
            print(f"{name:16} {clock:6.2f} s an epoch, tlpipe {ours[0] / clock:.2f} of it; processor {processor:6.2f} s, tlpipe {ours[1] / processor:.2f} of it")


if __name__ == "__main__":
    main()
