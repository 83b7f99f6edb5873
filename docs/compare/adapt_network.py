"""DANN on a ResNet50 whose stem to layer3 are frozen: tlpipe, which starts every epoch from activations that it computes once, against
a PyTorch loop that does what tutorials do.

    pip install torch torchvision safetensors pillow
    python docs/compare/adapt_network.py TLPIPE [--rows 100] [--size 224] [--epochs 10] [--measured 1] [--threads 2]

TLPIPE is the program's path. Both domains have so many pictures, which are drawn; the weights are random, since only time is compared.
layer4 learns, above it a bottleneck of 256, a classifier and a discriminator of 256, as `adapt` has them, in batches of 16 + 16.
tlpipe's time is that of the whole process with an empty cache less that of preparing the pictures, which is a run of its own: reading
weights, the pass below layer4, the training of direct, which is part of every run, and of dann, validators, measures of shift, maps and
results. PyTorch trains DANN alone, and its time is that of its loop: its pictures lie decoded in memory.
What is frozen runs without gradients. Of the epochs so many are measured and the time is scaled up, for each does the same work. Printed are seconds that passed and, in brackets, processor time. Needs Unix.
"""
import argparse
import json
import pathlib
import resource
import subprocess
import tempfile
import time

import numpy as np
from PIL import Image

PIPELINE = """
name: adapt_network
seed: 1
stages:
  images:
    uses: preprocess
    with:
      source: [{{folder: "{work}/source", domain: source}}, {{folder: "{work}/target", domain: target}}]
      for: resnet50
      size: {size}
      resize: squash
      split: {{train: 1}}
  adapted:
    uses: adapt
    from: images
    with:
      domains: {{source: [source], target: [target]}}
      backbone: resnet50
      weights: random
      strategy: {{kind: partial, top: {top}}}
      method: dann
      epochs: {epochs}
      batch_size: 16
"""
BATCH, CLASSES = 16, 5


def draw(work, rows, size):
    random = np.random.default_rng(0)
    for domain in ("source", "target"):
        for i in range(rows):
            folder = work / domain / f"class{i % CLASSES}"
            folder.mkdir(parents=True, exist_ok=True)
            coarse = random.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(coarse).resize((size, size), Image.BILINEAR).save(folder / f"{i}.png")


def run(command):
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{command}\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return np.array([time.perf_counter() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime]), done.stdout


def tlpipe(options, work):
    file = work / "pipeline.yaml"
    file.write_text(PIPELINE.format(work=work, size=options.size, epochs=options.epochs, top=options.top))
    common = ["--cache", str(work / "cache"), "--jobs", str(options.threads)]
    run([options.tlpipe, "run", str(file), "--only", "images", *common])
    took, events = run([options.tlpipe, "run", str(file), "--json", *common])
    shares = next(e["shares"] for e in map(json.loads, events.splitlines()) if e.get("stage") == "adapted")
    return took, {share["name"]: share["seconds"] for share in shares}


def pytorch(options):
    import torch
    import torchvision
    from torch import nn

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    net = torchvision.models.resnet50()
    net.fc = nn.Identity()
    for name, p in net.named_parameters():
        p.requires_grad = name.startswith("layer4")
    below = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool, net.layer1, net.layer2, net.layer3).eval()
    above = nn.Sequential(net.layer4, net.avgpool, nn.Flatten(), nn.Linear(2048, 256), nn.BatchNorm1d(256), nn.ReLU())
    task, discriminator = nn.Linear(256, CLASSES), nn.Sequential(nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 2))
    learned = [p for part in (above, task, discriminator) for p in part.parameters()]
    optimiser = torch.optim.Adam(learned, lr=1e-4)
    x = torch.randn(2 * options.rows, 3, options.size, options.size)
    y = torch.arange(options.rows) % CLASSES
    domain = torch.cat([torch.zeros(BATCH), torch.ones(BATCH)]).long()

    class Reverse(torch.autograd.Function):
        @staticmethod
        def forward(ctx, f):
            return f.view_as(f)

        @staticmethod
        def backward(ctx, g):
            return -0.5 * g

    def step(source, target):
        with torch.no_grad():
            held = below(x[torch.cat([source, options.rows + target])])
        f = above(held)
        loss = nn.functional.cross_entropy(task(f[:BATCH]), y[source]) + nn.functional.cross_entropy(discriminator(Reverse.apply(f)), domain)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    def epoch():
        source, target = torch.randperm(options.rows), torch.randperm(options.rows)
        for i in range(options.rows // BATCH):
            step(source[i * BATCH : (i + 1) * BATCH], target[i * BATCH : (i + 1) * BATCH])

    step(torch.arange(BATCH), torch.arange(BATCH))
    began = time.perf_counter(), time.process_time()
    for _ in range(options.measured):
        epoch()
    scale = options.epochs / options.measured
    return scale * np.array([time.perf_counter() - began[0], time.process_time() - began[1]])


parser = argparse.ArgumentParser()
parser.add_argument("tlpipe")
parser.add_argument("--rows", type=int, default=100)
parser.add_argument("--size", type=int, default=224)
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--measured", type=int, default=1)
parser.add_argument("--top", type=int, default=20, help="layers that learn in tlpipe, in its count: 20 are layer4 and the head")
parser.add_argument("--threads", type=int, default=2)
options = parser.parse_args()
options.rows -= options.rows % BATCH
with tempfile.TemporaryDirectory() as work:
    work = pathlib.Path(work)
    draw(work, options.rows, options.size)
    (ours, shares), theirs = tlpipe(options, work), pytorch(options)
print(
    f"DANN on ResNet50 frozen to layer3, {options.rows} + {options.rows} pictures of {options.size}, {options.epochs} epochs, {options.threads} threads: "
    f"tlpipe {ours[0]:.0f} s ({ours[1]:.0f}), PyTorch {theirs[0]:.0f} s ({theirs[1]:.0f}), ratio {ours[0] / theirs[0]:.2f} ({ours[1] / theirs[1]:.2f}); of "
    f"tlpipe's seconds, direct with the pass below layer4 takes {shares['direct']:.0f} and dann {shares['dann']:.0f}"
)
