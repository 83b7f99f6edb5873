"""Measure `tlpipe bench extract` against ONNX Runtime and PyTorch, in turn, on the same cores.

    python extract.py TLPIPE [--rounds 5] [--seconds 1] [--threads 2] [--network NAME …]
                      [--peer NAME …] [--models DIR] [--start-up | --goals] [--processor-time] [--json FILE]

TLPIPE is the program's path. Every network has the same random weights on all sides and gives its
pooled features; ONNX Runtime gets it from torchvision or timm through torch.onnx.export. Its int8 form
(onnxruntime-int8) is made of that by onnxruntime.quantization: static, QDQ, weights by channel,
calibrated on a few random batches. Each measurement is a process of its own, which runs batches for some
seconds after a warm-up and tells its best; rounds go through all sides one after the other, so that what
else the machine does meets all of them. The table gives each side's best of all rounds, the ratio of the
bests, and the median over the rounds of the ratio within a round.

With --start-up it measures instead how long it takes from the start of the process until the first
batch of one is done, weights read from a file (tlpipe: .safetensors).

With --goals it measures what the project wants to reach, one line a goal. With --json the figures are
kept in a file, and a later call adds to them, so that a long measurement can be made in parts
(--network, --goal).

With --processor-time it is not the clock that counts but the processor time of all threads, which other work on the machine
disturbs less; take --threads 1 with it.

Needs: torch, torchvision, timm, onnx, onnxruntime, safetensors.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

NETWORKS = {
    "resnet50": 224, "mobilenet_v2": 224, "efficientnet_b0": 224, "vgg16": 224, "inception_v3": 299, "densenet121": 224,
    "vit_b16": 224, "dinov2_s14": 224,
}
TIMM = {"vit_b16": "vit_base_patch16_224", "dinov2_s14": "vit_small_patch14_dinov2"}  # these networks come from there
WORK = [(name, 8) for name in NETWORKS] + [("resnet50", 1), ("mobilenet_v2", 1), ("efficientnet_b0", 1)]
PEERS = ["onnxruntime", "onnxruntime-int8", "torch", "torch-frozen"]

# What is to be reached: network, batch, the two sides, and the ratio of their speeds.
FLOAT, HALF, INT8 = "tlpipe fp32", "tlpipe bf16", "tlpipe int8"
GOALS = [
    ("resnet50", 8, FLOAT, "onnxruntime", 1.15),
    ("vgg16", 8, FLOAT, "onnxruntime", 1.1),
    ("inception_v3", 8, FLOAT, "onnxruntime", 1.1),
    ("densenet121", 8, FLOAT, "onnxruntime", 1.1),
    ("mobilenet_v2", 8, FLOAT, "onnxruntime", 1.0),
    ("efficientnet_b0", 8, FLOAT, "onnxruntime", 1.1),
    ("vit_b16", 8, FLOAT, "onnxruntime", 1.1),
    ("dinov2_s14", 8, FLOAT, "onnxruntime", 1.1),
    ("resnet50", 1, FLOAT, "onnxruntime", 1.0),
    ("mobilenet_v2", 1, FLOAT, "onnxruntime", 1.0),
    ("resnet50", 8, HALF, FLOAT, 1.6),
    ("resnet50", 8, INT8, FLOAT, 2.8),
    ("resnet50", 8, INT8, "onnxruntime-int8", 1.1),
    ("resnet50", 1, "tlpipe start-up", "onnxruntime start-up", 2.0),
]


def trunk(name):
    """The torchvision or timm model with random weights, without its classifier."""
    import torch
    import torchvision

    if name in TIMM:
        import timm

        timm.layers.set_fused_attn(False)  # which torch.onnx.export does not know
        torch.manual_seed(0)
        state = timm.create_model(TIMM[name], num_classes=0).state_dict()  # position embeddings of another size, it may be
        return timm.create_model(TIMM[name], num_classes=0, img_size=NETWORKS[name]).eval(), state

    class Pooled(torch.nn.Module):
        def __init__(self, features):
            super().__init__()
            self.features = features

        def forward(self, x):
            return self.features(x).mean((2, 3))

    torch.manual_seed(0)
    extra = {"init_weights": True} if name == "inception_v3" else {}
    whole = torchvision.models.get_model(name, weights=None, **extra).eval()
    state = whole.state_dict()
    if name.startswith("vgg"):
        return Pooled(whole.features), state
    setattr(whole, "fc" if hasattr(whole, "fc") else "classifier", torch.nn.Identity())
    return whole, state


def prepare(folder, name):
    """Write the model for all sides, unless it is there."""
    weights, graph = folder / f"{name}.safetensors", folder / f"{name}.onnx"
    if weights.exists() and graph.exists():
        return
    import safetensors.torch
    import torch

    model, state = trunk(name)
    size = NETWORKS[name]
    torch.onnx.export(model, torch.randn(1, 3, size, size), graph, dynamo=False, opset_version=17,
                      input_names=["image"], output_names=["features"], dynamic_axes={"image": {0: "batch"}})
    safetensors.torch.save_file({k: v.contiguous() for k, v in state.items()}, weights)


def quantize(folder, name):
    """Write the model in int8, unless it is there."""
    whole = folder / f"{name}-int8.onnx"
    if whole.exists():
        return
    import numpy as np
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Batches(quantization.CalibrationDataReader):
        def __init__(self):
            size, random = NETWORKS[name], np.random.default_rng(1)
            self.left = [random.uniform(-2, 2, (4, 3, size, size)).astype(np.float32) for _ in range(3)]

        def get_next(self):
            return {"image": self.left.pop()} if self.left else None

    prepared = folder / f"{name}-prepared.onnx"
    quant_pre_process(folder / f"{name}.onnx", prepared)
    quantization.quantize_static(
        prepared, whole, Batches(), quant_format=quantization.QuantFormat.QDQ, per_channel=True,
        activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8)


def measure(run, batch, seconds, clock=time.perf_counter):
    run()
    best, runs, end = float("inf"), 0, time.perf_counter() + seconds
    while runs < 3 or time.perf_counter() < end:
        start = clock()
        run()
        best = min(best, clock() - start)
        runs += 1
    return batch / best


def onnxruntime_session(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def as_peer(peer, name, batch, folder, threads, seconds, clock):
    """What the process of a peer does; it prints its result."""
    import numpy as np

    size = NETWORKS[name]
    pixels = np.random.default_rng(0).uniform(-2, 2, (batch, 3, size, size)).astype(np.float32)
    if peer.startswith("onnxruntime"):
        start = time.perf_counter()
        session = onnxruntime_session(folder / f"{name}{peer.removeprefix('onnxruntime')}.onnx", threads)
        session.run(None, {"image": pixels})
        first = time.perf_counter() - start
        speed = measure(lambda: session.run(None, {"image": pixels}), batch, seconds, clock) if seconds else 0
        print(json.dumps({"speed": speed, "first": first}))
        return
    import torch

    torch.set_num_threads(threads)
    model, x = trunk(name)[0], torch.from_numpy(pixels)
    with torch.inference_mode():
        start = time.perf_counter()
        if peer == "torch-frozen":
            model = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(model, x)))
        model(x)
        first = time.perf_counter() - start
        model(x)
        speed = measure(lambda: model(x), batch, seconds, clock) if seconds else 0
    print(json.dumps({"speed": speed, "first": first}))


def peer(options, name, batch, which, seconds):
    command = [sys.executable, __file__, options.tlpipe, "--as", which, "--network", name, "--batch", batch,
               "--models", options.models, "--threads", options.threads, "--seconds", seconds]
    if options.processor_time:
        command.append("--processor-time")
    return json.loads(run(command))


def tlpipe_command(options, name, batch, precision):
    weights = pathlib.Path(options.models) / f"{name}.safetensors"
    return [options.tlpipe, "bench", "extract", "--backbone", name, "--batch", batch, "--threads", options.threads,
            "--weights", weights, "--precision", precision, "--json"]


def tlpipe(options, name, batch, precision, seconds):
    measured = json.loads(run(tlpipe_command(options, name, batch, precision) + ["--repeat", 3, "--seconds", seconds]))
    if options.processor_time:
        measured["images_per_second"] = batch / measured["processor_seconds"]
    return measured


def run(command):
    environment = os.environ | {"OMP_NUM_THREADS": "", "PYTHONWARNINGS": "ignore"}
    environment.pop("OMP_NUM_THREADS")
    return subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, env=environment, text=True).stdout


def throughput(options, work):
    sides = ["tlpipe", *options.peer]
    speeds = {(name, batch, side): [] for name, batch in work for side in sides}
    for number in range(options.rounds):
        for name, batch in work:
            for side in sides:
                if side == "tlpipe":
                    speed = tlpipe(options, name, batch, options.precision, options.seconds)["images_per_second"]
                else:
                    speed = peer(options, name, batch, side, options.seconds)["speed"]
                speeds[name, batch, side].append(speed)
        print(f"round {number + 1} of {options.rounds}, load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    head = f"| network | batch | tlpipe {options.precision} |"
    for side in options.peer:
        head += f" {side} | ratio | by round |"
    print(head + "\n|---|--:|--:|" + "--:|--:|--:|" * len(options.peer))
    rows = []
    for name, batch in work:
        ours = speeds[name, batch, "tlpipe"]
        line, row = f"| {name} | {batch} | {max(ours):.1f} |", {"network": name, "batch": batch, "tlpipe": ours}
        for side in options.peer:
            theirs = row[side] = speeds[name, batch, side]
            by_round = statistics.median(a / b for a, b in zip(ours, theirs))
            line += f" {max(theirs):.1f} | {max(ours) / max(theirs):.2f} | {by_round:.2f} |"
        rows.append(row)
        print(line)
    return rows


def first_batch(options, name, precision="fp32"):
    """Seconds from the start of tlpipe's process until it tells that its first batch of one is done, and
    what it tells."""
    command = tlpipe_command(options, name, 1, precision) + ["--warm-up", 0, "--repeat", 1]
    start = time.perf_counter()
    with subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        return time.perf_counter() - start, json.loads(line)


def start_up(options, names):
    print("| network | tlpipe, process to first batch | of it load and first batch | ONNX Runtime, session and first batch"
          " | whole process | ratio |\n|---|--:|--:|--:|--:|--:|")
    rows = []
    for name in names:
        ours, inside, theirs, whole = [], [], [], []
        for _ in range(options.rounds):
            took, result = first_batch(options, name)
            ours.append(took)
            inside.append(result["load_seconds"] + result["first_seconds"])
            start = time.perf_counter()
            theirs.append(peer(options, name, 1, "onnxruntime", 0)["first"])
            whole.append(time.perf_counter() - start)
        rows.append({"network": name, "tlpipe": ours, "onnxruntime": theirs, "onnxruntime_process": whole})
        print(f"| {name} | {min(ours):.3f} s | {min(inside):.3f} s | {min(theirs):.3f} s | {min(whole):.3f} s"
              f" | {min(ours) / min(theirs):.2f} |")
    return rows


def speed(options, name, batch, side):
    """One measurement of a side of a goal; a start-up counts as its reciprocal."""
    who, _, what = side.partition(" ")
    if what == "start-up":
        if who == "tlpipe":
            return 1 / first_batch(options, name)[0]
        return 1 / peer(options, name, batch, who, 0)["first"]
    if who == "tlpipe":
        return tlpipe(options, name, batch, what, options.seconds)["images_per_second"]
    return peer(options, name, batch, who, options.seconds)["speed"]


def goals(options, chosen):
    results = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    for number in chosen:
        name, batch, ours, theirs, _ = GOALS[number]
        a, b = [], []
        for _ in range(options.rounds):
            a.append(speed(options, name, batch, ours))
            b.append(speed(options, name, batch, theirs))
        results[str(number)] = {"ours": a, "theirs": b, "load": os.getloadavg()[0]}
    print("| network | batch | side | images/s | against | images/s | ratio | by round | wanted | |")
    print("|---|--:|---|--:|---|--:|--:|--:|--:|---|")
    for number, (name, batch, ours, theirs, wanted) in enumerate(GOALS):
        if str(number) not in results:
            continue
        a, b = results[str(number)]["ours"], results[str(number)]["theirs"]
        ratio = max(a) / max(b)
        by_round = statistics.median(x / y for x, y in zip(a, b))
        print(f"| {name} | {batch} | {ours} | {max(a):.1f} | {theirs} | {max(b):.1f} | {ratio:.2f} | {by_round:.2f}"
              f" | {wanted:.2f} | {'met' if min(ratio, by_round) >= wanted else 'not met'} |")
    return results


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("tlpipe")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=1)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--precision", default="fp32", help="of tlpipe")
    arguments.add_argument("--network", nargs="+", choices=NETWORKS)
    arguments.add_argument("--batch", type=int)
    arguments.add_argument("--peer", nargs="+", choices=PEERS, default=["onnxruntime", "torch", "torch-frozen"])
    arguments.add_argument("--models", default=pathlib.Path(tempfile.gettempdir()) / "tlpipe-compare")
    arguments.add_argument("--start-up", action="store_true")
    arguments.add_argument("--goals", action="store_true")
    arguments.add_argument("--goal", type=int, nargs="+", choices=range(len(GOALS)), help="by number, from 0")
    arguments.add_argument("--processor-time", action="store_true")
    arguments.add_argument("--json", type=pathlib.Path)
    arguments.add_argument("--as", dest="peer_process", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    options.models = pathlib.Path(options.models)
    if options.peer_process:
        as_peer(options.peer_process, options.network[0], options.batch, options.models, options.threads, options.seconds,
                time.process_time if options.processor_time else time.perf_counter)
        return
    options.models.mkdir(parents=True, exist_ok=True)
    work = [(n, b) for n, b in WORK
            if (not options.network or n in options.network) and (not options.batch or b == options.batch)]
    names = list(dict.fromkeys(n for n, _ in work))
    for name in names:
        prepare(options.models, name)
    chosen = [i for i, goal in enumerate(GOALS) if goal[0] in names and (not options.goal or i in options.goal)]
    if "onnxruntime-int8" in options.peer or options.goals and any(GOALS[i][3] == "onnxruntime-int8" for i in chosen):
        for name in names if "onnxruntime-int8" in options.peer else ["resnet50"]:
            quantize(options.models, name)
    if options.goals:
        rows = goals(options, chosen)
    else:
        rows = start_up(options, names) if options.start_up else throughput(options, work)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
