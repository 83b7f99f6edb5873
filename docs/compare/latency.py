"""Times a trained model in int8 against ONNX Runtime on the very file that `tlpipe export` writes of it, one picture after the other.

    python latency.py TLPIPE [--network NAME …] [--threads 1 2] [--rounds 5] [--seconds 2] [--size 224] [--cache DIR]

Each network gets a head on the built-in emoji (weights are random but for those that tlpipe has within it, which changes nothing in the time), is
quantised, and exported as ONNX twice: with weights of uint8, tlpipe's default, and of int8 (`--signed`). Each measurement is a process
of its own: `tlpipe bench latency`, whose time of the network counts, from prepared pixels to the answer; and ONNX Runtime with as many
threads, from bytes of pixels to the answer. Rounds go through all of them in turn. The table has the least median of all rounds in milliseconds, the ratio of
ONNX Runtime's better file to tlpipe, where more than 1 says that tlpipe is faster, and the median of that ratio within a round.
With --processor-time it is the least processor time of a picture that counts, which other work on the machine disturbs less; take --threads 1 with it.

Needs: numpy, onnxruntime.
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

PIPELINE = """
name: latency
seed: 1
stages:
  images:
    uses: preprocess
    with: {{source: {{builtin: emoji}}, for: {network}, size: {size}, resize: squash, split: {{train: 0.2, val: 0.1, test: 0.7, by: object}}}}
  net:
    uses: finetune
    from: images
    with: {{backbone: {network}, {weights}strategy: feature_extraction, epochs: 1}}
  small:
    uses: quantise
    from: {{model: net, data: images}}
    with: {{tolerance: 1, rows: 16}}
"""
BUILT_IN = ["efficientnet_lite0"]


def onnxruntime(path, threads, seconds, processor):
    """The median milliseconds of a run, or the least of the processor; the process prints it."""
    import numpy as np
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = InferenceSession(path, options, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0]
    pixels = np.random.default_rng(0).integers(0, 256, [1, *given.shape[1:]], np.uint8)
    for _ in range(5):
        session.run(None, {given.name: pixels})
    clock = time.process_time if processor else time.perf_counter
    times, end = [], time.perf_counter() + seconds
    while len(times) < 20 or time.perf_counter() < end:
        began = clock()
        session.run(None, {given.name: pixels})
        times.append(clock() - began)
    print(1000 * (min(times) if processor else statistics.median(times)))


def run(command):
    return subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("tlpipe")
    arguments.add_argument("--network", nargs="+", default=["resnet50", "mobilenet_v2", "efficientnet_lite0"])
    arguments.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=float, default=2)
    arguments.add_argument("--size", type=int, default=224)
    arguments.add_argument("--processor-time", action="store_true")
    arguments.add_argument("--cache", type=pathlib.Path)
    arguments.add_argument("--as", dest="file", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.file:
        onnxruntime(options.file, options.threads[0], options.seconds, options.processor_time)
        return
    print("| network | threads | tlpipe | ONNX Runtime, uint8 | int8 | ratio | by round |\n|---|--:|--:|--:|--:|--:|--:|", flush=True)
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        cache = options.cache or work / "cache"
        for network in options.network:
            pipeline = work / f"{network}.yaml"
            pipeline.write_text(PIPELINE.format(network=network, size=options.size, weights="" if network in BUILT_IN else "weights: random, "))
            run([options.tlpipe, "run", pipeline, "--cache", cache])
            model, files = f"{pipeline}:small", {}
            for name, flags in (("uint8", []), ("int8", ["--signed"])):
                files[name] = work / f"{network}-{name}.onnx"
                run([options.tlpipe, "export", model, "--cache", cache, "--out", files[name], "--check", 1, *flags])
            for threads in options.threads:
                times = {"tlpipe": [], "uint8": [], "int8": []}
                for _ in range(options.rounds):
                    told = run([options.tlpipe, "bench", "latency", "--model", model, "--cache", cache, "--threads", threads, "--repeat", 20,
                                "--seconds", options.seconds, "--json"])
                    told = json.loads(told)
                    times["tlpipe"].append(1000 * (told["network_processor_seconds"] if options.processor_time else told["network_seconds"]["p50"]))
                    for name, file in files.items():
                        command = [sys.executable, __file__, "-", "--as", file, "--threads", threads, "--seconds", options.seconds]
                        times[name].append(float(run(command + ["--processor-time"] * options.processor_time)))
                best = {name: min(t) for name, t in times.items()}
                rounds = [min(a, b) / t for t, a, b in zip(*times.values())]
                print(f"| {network} | {threads} | {best['tlpipe']:.2f} | {best['uint8']:.2f} | {best['int8']:.2f} "
                      f"| {min(best['uint8'], best['int8']) / best['tlpipe']:.2f} | {statistics.median(rounds):.2f} |", flush=True)
    print(f"load {os.getloadavg()[0]:.1f}", file=sys.stderr)


if __name__ == "__main__":
    main()
