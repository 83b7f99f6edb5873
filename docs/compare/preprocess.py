"""Measure how fast pictures are read and fitted: tlpipe against torchvision with Pillow, in turn.

    python preprocess.py TLPIPE FOLDER [--rounds 5] [--jobs 2]

TLPIPE is the program's path; FOLDER has one folder of pictures a class (make_photos.py makes one).
tlpipe's time is that of the whole process: start, listing, digests, decoding, fitting and the
cache on disk, with a cache that is new each round. torchvision's is that of one pass of a
DataLoader with as many workers, after the imports and a first pass that warms it up:
Resize(256), CenterCrop(224), PILToTensor.
Needs: torch, torchvision.
"""

import argparse
import pathlib
import statistics
import subprocess
import tempfile
import time

PIPELINE = """
name: throughput
stages:
  images: {{uses: preprocess, with: {{source: {{folder: "{folder}"}}, size: 224}}}}
"""


def tlpipe(program, folder, jobs):
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch) / "pipeline.yaml"
        path.write_text(PIPELINE.format(folder=folder))
        start = time.perf_counter()
        subprocess.run([program, "run", str(path), "--cache", f"{scratch}/cache", "--jobs", str(jobs)], check=True, capture_output=True)
        return time.perf_counter() - start


def loader(folder, jobs):
    import torch
    from torchvision import datasets, transforms

    torch.set_num_threads(1)
    steps = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.PILToTensor()])
    data = datasets.ImageFolder(folder, steps)
    return torch.utils.data.DataLoader(data, batch_size=64, num_workers=jobs)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("tlpipe")
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--jobs", type=int, default=2)
    options = arguments.parse_args()
    folder = options.folder.resolve()
    pictures = sum(1 for p in folder.glob("*/*") if p.is_file())
    batches = loader(str(folder), options.jobs)
    for _ in batches:
        pass
    ours, theirs = [], []
    for _ in range(options.rounds):
        ours.append(tlpipe(options.tlpipe, folder, options.jobs))
        start = time.perf_counter()
        for _ in batches:
            pass
        theirs.append(time.perf_counter() - start)
        print(f"tlpipe {pictures / ours[-1]:6.0f}  torchvision {pictures / theirs[-1]:6.0f} pictures/s  ratio {theirs[-1] / ours[-1]:.2f}", flush=True)
    ratios = [t / o for o, t in zip(ours, theirs)]
    print(f"best: tlpipe {pictures / min(ours):.0f}, torchvision {pictures / min(theirs):.0f} pictures/s; median ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
