"""Measure training steps: `tlpipe bench train` against PyTorch, in turn.

    python train.py TLPIPE [--rounds 3] [--batch 16] [--threads 2] [--network NAME …]
                    [--train all|top:N|head] [--precision fp32|bf16] [--fixed-norms] [--cached]

TLPIPE is the program's path. Both sides take steps of SGD with momentum, pictures of 224×224 already
decoded, through the whole backbone and a new dense head; what learns is

    all      every layer, batch-norms on the statistics of the batch or, with --fixed-norms, on those
             they have (PyTorch: eval() of the layers)
    top:N    the head and the N last layers of tlpipe's network. PyTorch trains the parameters of the
             same number of tensors from the end and runs what is below without gradients
    head     the head alone, on the frozen backbone

With --cached tlpipe starts from the activations below what learns, which it computes but once; what
PyTorch does stays the same. The table gives each side's best of all rounds, the median over the rounds
of the ratio within one, and the greatest memory of either process (resident, with the program itself).
Needs: torch, torchvision; Unix.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time


def measured(command):
    """Runs a command; its standard output and the memory it took, in MB."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{command}: status {status}")
    return out, usage.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def tlpipe(options, network):
    command = [options.tlpipe, "bench", "train", "--backbone", network, "--train", options.train, "--batch", str(options.batch),
               "--threads", str(options.threads), "--precision", options.precision, "--json"]
    command += ["--fixed-norms"] * options.fixed_norms + ["--cached"] * options.cached
    out, memory = measured(command)
    result = json.loads(out)
    return result["images_per_second"], memory, result["trained_parameters"]


def learning(model, trained, parameters):
    """Which parameters learn: from the end, as many numbers as tlpipe trains."""
    tensors = list(model.parameters())
    if trained == "all":
        return tensors
    chosen = []
    while tensors and sum(p.numel() for p in chosen) < parameters:
        chosen.insert(0, tensors.pop())
    return chosen


def pytorch(options, network, steps=6):
    import torch
    import torchvision

    torch.set_num_threads(options.threads)
    model = torchvision.models.get_model(network, weights=None, num_classes=1000).train()
    learns = learning(model, options.train, options.parameters)
    for p in model.parameters():
        p.requires_grad_(any(p is q for q in learns))
    for part in model.modules():
        if isinstance(part, torch.nn.BatchNorm2d) and (options.fixed_norms or not part.weight.requires_grad):
            part.eval()
    solver = torch.optim.SGD(learns, lr=1e-6, momentum=0.9)
    x, y = torch.randn(options.batch, 3, 224, 224), torch.randint(1000, (options.batch,))
    half = torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.precision == "bf16")
    best = 0.0
    for step in range(steps):
        start = time.perf_counter()
        solver.zero_grad()
        with half:
            loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        solver.step()
        if step > 0:  # the first warms up
            best = max(best, options.batch / (time.perf_counter() - start))
    return best


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("tlpipe")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--batch", type=int, default=16)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--network", nargs="*", default=["resnet50", "mobilenet_v2"])
    arguments.add_argument("--train", default="all")
    arguments.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    arguments.add_argument("--fixed-norms", action="store_true")
    arguments.add_argument("--cached", action="store_true")
    arguments.add_argument("--only-pytorch", help=argparse.SUPPRESS)  # a process of its own for each measurement
    arguments.add_argument("--parameters", type=int, default=0, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.only_pytorch:
        print(pytorch(options, options.only_pytorch))
        return
    print("network          tlpipe  PyTorch  ratio    MB  PyTorch's   (images/s, best; ratio is the median)")
    for network in options.network:
        ours, theirs, memory = [], [], [0, 0]
        for _ in range(options.rounds):
            speed, used, parameters = tlpipe(options, network)
            ours.append(speed)
            memory[0] = max(memory[0], used)
            out, used = measured([sys.executable, __file__, *sys.argv[1:], "--only-pytorch", network, "--parameters", str(parameters)])
            theirs.append(float(out))
            memory[1] = max(memory[1], used)
        ratio = statistics.median(a / b for a, b in zip(ours, theirs))
        print(f"{network:16} {max(ours):6.1f}  {max(theirs):7.1f}  {ratio:5.2f}  {memory[0]:4.0f}  {memory[1]:9.0f}", flush=True)


if __name__ == "__main__":
    main()
