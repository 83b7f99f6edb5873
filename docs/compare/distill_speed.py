"""Times distillation with a cached teacher, ResNet-50 to MobileNetV2, against a PyTorch loop that runs the teacher in each step.

    python distill_speed.py TLPIPE [--rows 1000] [--size 224] [--epochs 10] [--share 0.1] [--rounds 1] [--threads 2]

Weights are random, which changes nothing in the time; pictures are noise. In turn, with THREADS each: the stage `distill` from an empty cache, with its
teacher's logits, checkpoints and validation on an eighth of ROWS more; and PyTorch, which learns SHARE of the steps of all epochs, without
validation, from pictures in memory; its time is divided by SHARE. The stage also trains the student alone, which the loop does not: its time is told and, for the ratio, taken off.
Prints seconds of the clock and of the processor. On a machine with other work, PyTorch's threads wait for
each other in loops, which counts as time of the processor: take --threads 1 there.
"""
import argparse
import json
import pathlib
import resource
import subprocess
import tempfile
import time

import numpy as np
import torch
import torchvision
from PIL import Image
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("tlpipe")
for name, default in (("rows", 1000), ("size", 224), ("epochs", 10), ("batch", 16), ("rounds", 1), ("threads", 2)):
    parser.add_argument("--" + name, type=int, default=default)
parser.add_argument("--share", type=float, default=0.1)
parser.add_argument("--verbose", action="store_true", help="what tlpipe says")
given = parser.parse_args()
CLASSES = 4

PIPELINE = """
name: distill_speed
seed: 1
stages:
  few:
    uses: preprocess
    with:
      source: {{folder: {folder}/few}}
      for: resnet50
      size: {size}
      resize: squash
  images:
    uses: preprocess
    with:
      source: {{folder: {folder}/all}}
      for: mobilenet_v2
      size: {size}
      resize: squash
  teacher:
    uses: finetune
    from: few
    with: {{backbone: resnet50, weights: random, epochs: 1}}
  student:
    uses: distill
    from: {{teacher: teacher, data: images}}
    with: {{backbone: mobilenet_v2, weights: random, strategy: full, epochs: {epochs}, batch_size: {batch}}}
"""


def pictures(folder, n):
    random = np.random.default_rng(n)
    for i in range(n):
        at = folder / f"class{i % CLASSES}"
        at.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (given.size, given.size, 3), np.uint8)).save(at / f"{i}.png")


def used():
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in both)


def timed(do):
    clock, processor = time.perf_counter(), used()
    do()
    return time.perf_counter() - clock, used() - processor


def loop():
    torch.set_num_threads(given.threads)
    teacher, student = torchvision.models.resnet50(num_classes=CLASSES).eval(), torchvision.models.mobilenet_v2(num_classes=CLASSES)
    x, y = torch.rand(given.rows, 3, given.size, given.size), torch.arange(given.rows) % CLASSES
    optimizer = torch.optim.AdamW(student.parameters(), 1e-3)

    def learn(steps):
        for step in range(steps):
            at = torch.arange(step * given.batch, (step + 1) * given.batch) % given.rows
            with torch.no_grad():
                soft = F.log_softmax(teacher(x[at]) / 2, 1)
            z = student(x[at])
            loss = 0.5 * F.cross_entropy(z, y[at]) + 0.5 * 4 * F.kl_div(F.log_softmax(z / 2, 1), soft, log_target=True, reduction="batchmean")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    learn(1)  # warms up
    all_steps = given.epochs * -(-given.rows // given.batch)
    steps = max(round(given.share * all_steps), 1)
    return [t * all_steps / steps for t in timed(lambda: learn(steps))]


def alone(cache):
    """The share of the stage's seconds that the student alone took: of the two trainings, which the journal times, the first."""
    journal = max(cache.glob("runs/*/journal.jsonl"), key=lambda p: p.stat().st_mtime)
    events = [json.loads(line) for line in journal.read_text().splitlines()]
    took = [e["seconds"] for e in events if e.get("stage") == "student" and e.get("part") == "phase"]
    assert len(took) == 2, took
    return took[0]


with tempfile.TemporaryDirectory() as work:
    work = pathlib.Path(work)
    for folder, learned in (("few", 8), ("all", given.rows)):
        pictures(work / folder / "train", learned)
        pictures(work / folder / "val", given.rows // 8 + CLASSES)
    pipeline = work / "pipeline.yaml"
    pipeline.write_text(PIPELINE.format(folder=work, size=given.size, epochs=given.epochs, batch=given.batch))
    for turn in range(given.rounds):
        cache = work / f"cache{turn}"
        run = [given.tlpipe, "run", str(pipeline), "--cache", str(cache), "--jobs", str(given.threads)]
        subprocess.run([*run, "--until", "teacher"], check=True, stdout=subprocess.DEVNULL, stderr=None if given.verbose else subprocess.DEVNULL)
        clock, processor = timed(lambda: subprocess.run(run, check=True, stdout=subprocess.DEVNULL, stderr=None if given.verbose else subprocess.DEVNULL))
        print(f"tlpipe: {clock:.1f} s, {processor:.1f} s of the processor, the student alone included", flush=True)
        share = 1 - alone(cache) / clock
        print(f"without it {share * clock:.1f} s, about {share * processor:.1f} s of the processor", flush=True)
        other_clock, other_processor = loop()
        print(f"PyTorch: {other_clock:.1f} s, {other_processor:.1f} s of the processor", flush=True)
        print(f"ratio {share * clock / other_clock:.2f}, of the processor {share * processor / other_processor:.2f}; "
              f"with the student alone {clock / other_clock:.2f} and {processor / other_processor:.2f}", flush=True)
