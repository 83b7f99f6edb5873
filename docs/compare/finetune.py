"""Fine-tune a ResNet50 the tutorial's ways: tlpipe against PyTorch loops that do the same.

    python finetune.py TLPIPE [--work DIR] [--rows 1000] [--only NAME …] [--share 1] [--threads 2]

TLPIPE is the program's path. Both sides get the same pictures (Fashion-MNIST, as Debian's package
dataset-fashion-mnist has it, at 224×224), the same weights (drawn at random, the statistics of the
batch-norms taken from the training pictures), the same head, solver, rates, epochs and batches:

  progressive   head at 1e-3, the top 20 layers (layer4) at 1e-4, all at 1e-5; 5 + 5 + 2 epochs
  features      30 epochs of the head; PyTorch runs the frozen backbone in each, as tutorials do
  features_held the same, but PyTorch keeps the features of the one pass in memory
  partial       the top 20 layers and the head at 1e-4, 10 epochs

tlpipe's time is that of the whole process with an empty cache: reading and resizing the files,
training, writing results. PyTorch's counts its training loop alone, its pictures lie decoded in
memory. With --share 0.1, PyTorch runs a tenth of the epochs of each phase, one at least, and its time
is scaled up: every epoch of a phase does the same work. Accuracies are of the test pictures, with
Wilson's 95 % interval; a scaled PyTorch run has none to compare.
Needs: torch, torchvision, safetensors, Pillow.
"""

import argparse
import gzip
import json
import math
import pathlib
import subprocess
import sys
import time

import numpy as np

FASHION = pathlib.Path("/usr/share/datasets/fashion-mnist")
# name: phases of (epochs, rate, how many of the top layers learn beside the head, the same in torchvision's names)
PLANS = {
    "progressive": [(5, 1e-3, 0, []), (5, 1e-4, 20, ["layer4"]), (2, 1e-5, "all", [""])],
    "features": [(30, 1e-3, 0, [])],
    "features_held": [(30, 1e-3, 0, [])],
    "partial": [(10, 1e-4, 20, ["layer4"])],
}
PIPELINE = """
name: {name}
seed: 1
stages:
  images:
    uses: preprocess
    with: {{source: {{folder: "{folder}"}}, split: given, for: resnet50, resize: squash}}
  model:
    uses: finetune
    from: images
    with:
      backbone: resnet50
      weights: "{weights}"
      head: tutorial
      batch_size: 32
      restore: last
      strategy: {phases}
  scores: {{uses: evaluate, from: {{model: model, data: images}}, with: {{baselines: []}}}}
"""


def idx(path):
    raw = gzip.open(path).read()
    shape = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(raw[3])]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


def make_pictures(folder, rows):
    """Writes rows training pictures, a fifth as many to validate on, and 1,000 to test on."""
    from PIL import Image

    for split, file, first, count in [("train", "train", 0, rows), ("val", "train", 50_000, rows // 5), ("test", "t10k", 0, 1000)]:
        images, labels = idx(FASHION / f"{file}-images-idx3-ubyte.gz"), idx(FASHION / f"{file}-labels-idx1-ubyte.gz")
        for i in range(first, first + count):
            target = folder / split / str(labels[i]) / f"{i:05d}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(images[i]).save(target)


def load_pictures(folder, split):
    """All pictures of a split, decoded: uint8 [rows, 3, 224, 224], and their classes."""
    import torch
    from torchvision import datasets, transforms

    steps = transforms.Compose([transforms.Resize((224, 224)), transforms.PILToTensor()])
    data = datasets.ImageFolder(folder / split, steps)
    return torch.stack([x for x, _ in data]), torch.tensor([y for _, y in data])


def normalise(x):
    import torch

    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (x.float() / 255 - mean[:, None, None]) / std[:, None, None]


def make_weights(path, folder):
    import safetensors.torch
    import torch
    import torchvision

    torch.manual_seed(0)
    net = torchvision.models.resnet50(weights=None)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # a plain mean over the batches
    net.train()
    x, _ = load_pictures(folder, "train")
    with torch.no_grad():
        for at in range(0, 128, 32):
            net(normalise(x[at : at + 32]))
    safetensors.torch.save_file({k: v for k, v in net.state_dict().items() if "num_batches" not in k}, path)


class Network:
    """The backbone without its classifier, and the tutorial's head on it."""

    def __init__(self, weights):
        import safetensors.torch
        import torch
        import torchvision

        self.trunk = torchvision.models.resnet50(weights=None)
        self.trunk.load_state_dict(safetensors.torch.load_file(weights), strict=False)
        self.trunk.fc = torch.nn.Identity()
        layer, norm = torch.nn.Linear, torch.nn.BatchNorm1d
        self.head = torch.nn.Sequential(
            layer(2048, 256, bias=False), norm(256, eps=1e-3), torch.nn.ReLU(), torch.nn.Dropout(0.5),
            layer(256, 128, bias=False), norm(128, eps=1e-3), torch.nn.ReLU(), torch.nn.Dropout(0.3),
            layer(128, 10),
        )  # fmt: skip
        self.trunk.eval()  # batch-norms of the trunk keep their statistics

    def learn(self, x, y, epochs, rate, unfrozen, batch, held):
        """Trains; returns the seconds it took."""
        import torch

        for name, p in self.trunk.named_parameters():
            p.requires_grad = any(name.startswith(block) for block in unfrozen)
        learned = [p for p in [*self.trunk.parameters(), *self.head.parameters()] if p.requires_grad]
        solver = torch.optim.Adam(learned, lr=rate, eps=1e-7)
        self.head.train()
        start = time.perf_counter()
        features = None
        if held:
            with torch.no_grad():
                features = torch.cat([self.trunk(normalise(x[at : at + batch])) for at in range(0, len(x), batch)])
        for _ in range(epochs):
            order = torch.randperm(len(x))
            for at in range(0, len(x) - 1, batch):
                rows = order[at : at + batch]
                solver.zero_grad()
                z = features[rows] if held else self.trunk(normalise(x[rows]))
                torch.nn.functional.cross_entropy(self.head(z), y[rows]).backward()
                solver.step()
        return time.perf_counter() - start

    def accuracy(self, x, y):
        import torch

        self.head.eval()
        right = 0
        with torch.no_grad():
            for at in range(0, len(x), 50):
                right += int((self.head(self.trunk(normalise(x[at : at + 50]))).argmax(1) == y[at : at + 50]).sum())
        return right / len(x)


def pytorch(plan, work, threads, share):
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    net = Network(work / "resnet50.safetensors")
    x, y = load_pictures(work / "pictures", "train")
    seconds = 0.0
    for epochs, rate, _, unfrozen in PLANS[plan]:
        run = max(1, round(epochs * share))
        seconds += net.learn(x, y, run, rate, unfrozen, 32, plan == "features_held") * (1 if plan == "features_held" else epochs / run)
    return {"seconds": seconds, "accuracy": net.accuracy(*load_pictures(work / "pictures", "test")) if share == 1 else None}


def tlpipe(program, plan, work, threads):
    phases = []
    for epochs, rate, top, _ in PLANS[plan]:
        what = {"unfreeze": ["all"]} if top == "all" else {"top": top}
        phases.append({"epochs": epochs, "learning_rate": rate, **what})
    path, cache = work / f"{plan}.yaml", work / f"cache-{plan}-{time.time_ns()}"
    path.write_text(PIPELINE.format(name=plan, folder=work / "pictures", weights=work / "resnet50.safetensors", phases=json.dumps(phases)))
    start = time.perf_counter()
    done = subprocess.run([program, "run", str(path), "--cache", str(cache), "--jobs", str(threads), "--json"], check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    last = json.loads(done.stdout.splitlines()[-1])
    subprocess.run(["rm", "-rf", str(cache)], check=True)
    return {"seconds": seconds, "accuracy": last["metrics"]["model.accuracy"]}


def interval(share, rows):
    """Wilson's."""
    if share is None:
        return "not run whole"
    z = 1.96
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows)) / (1 + z * z / rows)
    return f"{share:.3f} ({middle - half:.3f} to {middle + half:.3f})"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("tlpipe")
    arguments.add_argument("--work", type=pathlib.Path, default=pathlib.Path("finetune-work"))
    arguments.add_argument("--rows", type=int, default=1000)
    arguments.add_argument("--only", nargs="*", default=list(PLANS))
    arguments.add_argument("--share", type=float, default=1.0)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--only-pytorch", help=argparse.SUPPRESS)  # a process of its own for each measurement
    options = arguments.parse_args()
    work = options.work.resolve()
    if options.only_pytorch:
        print(json.dumps(pytorch(options.only_pytorch, work, options.threads, options.share)))
        return
    if not (work / "pictures").exists():
        make_pictures(work / "pictures", options.rows)
    if not (work / "resnet50.safetensors").exists():
        make_weights(work / "resnet50.safetensors", work / "pictures")
    print("plan            tlpipe    PyTorch   ratio   accuracy of tlpipe and of PyTorch   (seconds)")
    for plan in options.only:
        ours = tlpipe(options.tlpipe, plan, work, options.threads)
        own = [sys.executable, __file__, options.tlpipe, "--work", str(work), "--threads", str(options.threads), "--share", str(options.share), "--only-pytorch", plan]
        theirs = json.loads(subprocess.run(own, check=True, capture_output=True, text=True).stdout)
        print(f"{plan:14} {ours['seconds']:7.1f}  {theirs['seconds']:9.1f}  {ours['seconds'] / theirs['seconds']:6.2f}   {interval(ours['accuracy'], 1000)}   {interval(theirs['accuracy'], 1000)}", flush=True)


if __name__ == "__main__":
    main()
