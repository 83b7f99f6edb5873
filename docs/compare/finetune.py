"""Measure fine-tuning: the stage finetune of tlpipe against PyTorch loops that do the same, in turn.

    python finetune.py TLPIPE [--task progressive|extraction|cached|partial …] [--images 48] [--threads 2]
                       [--rounds 1] [--backbone resnet50]

TLPIPE is the program's path. Pictures of 224×224 are decoded beforehand on both sides, weights are
random (what is measured is time), batch-norms of the backbone keep their statistics, Adam, batches of
32, no validation. Tasks:

    progressive  5 epochs of the head, 5 with the last 20 layers that have weights, 2 of everything
    extraction   30 epochs of the head; PyTorch runs the frozen backbone in every epoch
    cached       the same; PyTorch computes the features once and keeps them in memory
    partial      10 epochs of the head and the last 20 layers that have weights

tlpipe starts with an empty cache each time but for the decoded pictures, so what it computes once is
in its time. PyTorch computes no gradient where it is not needed. Ratios do not depend much on the
number of pictures; with few, what tlpipe does once a phase weighs more. Needs: torch, torchvision,
Pillow.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

EPOCHS = {"progressive": [5, 5, 2], "extraction": [30], "cached": [30], "partial": [10]}

PIPELINE = """
name: compare
seed: 1
stages:
  images:
    uses: preprocess
    with: {{source: {{folder: {folder}}}, for: {backbone}, size: 224, resize: squash, split: {{train: 1, val: 0, test: 0}}}}
  net:
    uses: finetune
    from: images
    with:
      backbone: {backbone}
      weights: random
      head: linear
      restore: last
      strategy: {{kind: {kind}, epochs: {epochs}}}
"""


def make_pictures(folder, count):
    from PIL import Image

    for i in range(count):
        directory = os.path.join(folder, "class%d" % (i % 2))
        os.makedirs(directory, exist_ok=True)
        Image.frombytes("RGB", (224, 224), os.urandom(224 * 224 * 3)).save(os.path.join(directory, "%d.png" % i))


def tlpipe(program, task, backbone, folder, threads):
    kind = {"extraction": "feature_extraction", "cached": "feature_extraction"}.get(task, task)
    with tempfile.TemporaryDirectory() as work:
        file = os.path.join(work, "pipeline.yaml")
        with open(file, "w") as out:
            out.write(PIPELINE.format(folder=folder, backbone=backbone, kind=kind, epochs=EPOCHS[task]))
        command = [program, "run", file, "--json", "--jobs", str(threads), "--cache", os.path.join(work, "cache")]
        environment = dict(os.environ, GOMAXPROCS=str(threads))
        subprocess.run(command + ["--until", "images"], check=True, capture_output=True, env=environment)
        run = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    for line in run.stdout.splitlines():
        event = json.loads(line)
        if event.get("stage") == "net":
            return event["seconds"]


def pytorch(task, backbone, count, threads):
    import torch
    import torchvision

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    model = torchvision.models.get_model(backbone, weights=None)
    width = model.fc.in_features
    model.fc = torch.nn.Identity()
    model.eval()  # batch-norms keep their statistics
    head = torch.nn.Linear(width, 2)
    x, y = torch.randn(count, 3, 224, 224), torch.randint(2, (count,))
    weighted = [m for m in model.modules() if list(m.parameters(recurse=False))]

    def train(layers, epochs, rate):
        for m in weighted:
            for p in m.parameters(recurse=False):
                p.requires_grad_(False)
        for m in layers:
            for p in m.parameters(recurse=False):
                p.requires_grad_(True)
        solver = torch.optim.Adam([p for m in layers for p in m.parameters(recurse=False)] + list(head.parameters()), lr=rate)
        features = None
        if task == "cached":
            with torch.no_grad():
                features = torch.cat([model(x[i:i + 32]) for i in range(0, count, 32)])
        for _ in range(epochs):
            order = torch.randperm(count)
            for i in range(0, count, 32):
                chosen = order[i:i + 32]
                solver.zero_grad()
                seen = model(x[chosen]) if features is None else features[chosen]
                torch.nn.functional.cross_entropy(head(seen), y[chosen]).backward()
                solver.step()

    phases = {"progressive": [([], 1e-3), (weighted[-20:], 1e-4), (weighted, 1e-5)],
              "partial": [(weighted[-20:], 1e-4)]}.get(task, [([], 1e-3)])
    start = time.perf_counter()
    for (layers, rate), epochs in zip(phases, EPOCHS[task]):
        train(layers, epochs, rate)
    return time.perf_counter() - start


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("tlpipe")
    arguments.add_argument("--task", nargs="*", default=list(EPOCHS))
    arguments.add_argument("--images", type=int, default=48)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("--backbone", default="resnet50")
    arguments.add_argument("--only-pytorch", help=argparse.SUPPRESS)  # a process of its own for each measurement
    options = arguments.parse_args()
    if options.only_pytorch:
        print(pytorch(options.only_pytorch, options.backbone, options.images, options.threads))
        return
    print("task          tlpipe  PyTorch  ratio   (seconds, best; ratio is the median)", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        make_pictures(folder, options.images)
        for task in options.task:
            ours, theirs = [], []
            for _ in range(options.rounds):
                ours.append(tlpipe(options.tlpipe, task, options.backbone, folder, options.threads))
                own = [sys.executable, __file__, options.tlpipe, "--only-pytorch", task, "--images", str(options.images),
                       "--threads", str(options.threads), "--backbone", options.backbone]
                theirs.append(float(subprocess.run(own, check=True, capture_output=True, text=True).stdout))
            ratio = statistics.median(a / b for a, b in zip(ours, theirs))
            print("%-13s %6.1f  %7.1f  %5.2f" % (task, min(ours), min(theirs), ratio), flush=True)


if __name__ == "__main__":
    main()
