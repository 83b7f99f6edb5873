"""Measure training steps of whole networks: `tlpipe bench train` against PyTorch, in turn.

    python train.py TLPIPE [--rounds 3] [--batch 16] [--threads 2] [--network NAME …]

TLPIPE is the program's path. Both sides take steps of SGD with momentum through all layers of the
backbone and a new dense head, batch-norms in training, pictures of 224×224 already decoded. The
table gives each side's best of all rounds and the median over the rounds of the ratio within one.
Needs: torch, torchvision.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time


def tlpipe(program, network, batch, threads):
    command = [program, "bench", "train", "--backbone", network, "--train", "all", "--batch", str(batch), "--threads", str(threads), "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["images_per_second"]


def pytorch(network, batch, threads, steps=6):
    import torch
    import torchvision

    torch.set_num_threads(threads)
    model = torchvision.models.get_model(network, weights=None, num_classes=10).train()
    solver = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    x, y = torch.randn(batch, 3, 224, 224), torch.randint(10, (batch,))
    best = 0.0
    for step in range(steps):
        start = time.perf_counter()
        solver.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        solver.step()
        if step > 0:  # the first warms up
            best = max(best, batch / (time.perf_counter() - start))
    return best


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("tlpipe")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--batch", type=int, default=16)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--network", nargs="*", default=["resnet50", "mobilenet_v2"])
    arguments.add_argument("--only-pytorch", help=argparse.SUPPRESS)  # a process of its own for each measurement
    options = arguments.parse_args()
    if options.only_pytorch:
        print(pytorch(options.only_pytorch, options.batch, options.threads))
        return
    print("network          tlpipe  PyTorch  ratio   (images/s, best; ratio is the median)")
    for network in options.network:
        ours, theirs = [], []
        for _ in range(options.rounds):
            ours.append(tlpipe(options.tlpipe, network, options.batch, options.threads))
            own = [sys.executable, __file__, options.tlpipe, "--only-pytorch", network, "--batch", str(options.batch), "--threads", str(options.threads)]
            theirs.append(float(subprocess.run(own, check=True, capture_output=True, text=True).stdout))
        ratio = statistics.median(a / b for a, b in zip(ours, theirs))
        print(f"{network:16} {max(ours):6.1f}  {max(theirs):7.1f}  {ratio:5.2f}", flush=True)


if __name__ == "__main__":
    main()
