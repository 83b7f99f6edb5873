"""What PyTorch's usual recipes reach on the sets of docs/compare/sets: same pixels, splits and weights as tlpipe.

    tlpipe run docs/compare/sets/emoji.yaml
    tlpipe show docs/compare/sets/emoji.yaml:images --export emoji96.arrow
    python defaults.py emoji96.arrow --out emoji96.csv [--recipe fastai timm …] [--seed 1 2 3 4 5] [--epochs 8]
                       [--predictions FOLDER] [--no-mirror] [--threads 1]

Recipes:

    logistic   scikit-learn's LogisticRegression on the frozen features, C from 1e-4 to 1e4 by the loss on the
               validation rows; logistic_c1 is the same with scikit-learn's own C. Neither has a seed.
    fastai     fastai's Learner.fine_tune with its defaults: its head (pooled by mean and by maximum, 512 hidden,
               batch-norms, dropout), one epoch of it at 2e-3, then all layers, the backbone at a hundredth of the
               head's 1e-3; one-cycle, Adam with decoupled weight decay 0.01
    timm       optimizer, schedule and loss of timm, norms in training, with the defaults of its train.py for AdamW
               (weight decay not on norms and biases, rate 1e-3 at batches of 256 scaled by the square root); weight decay 0.05,
               one epoch of warm-up, cosine, label smoothing 0.1
    timm_sgd   the same with train.py's optimizer, Nesterov momentum 0.9 and weight decay 2e-5, at a tenth of its rate
               for training from scratch (0.1 at batches of 256, scaled linearly), as its author advises
               (github.com/huggingface/pytorch-image-models/issues/25)
    plain      last layer from zero; AdamW, 3e-4 for the backbone and 3e-3 for the head, weight decay 0.01; warm-up
               over a tenth of the steps, then cosine; label smoothing 0.1; batches of 16; norms keep their statistics

All take the same number of epochs (fastai after the one of the head), mirror images unless --no-mirror, and give the
weights of their last epoch: validation rows choose nothing but C. Batches have 16 rows, for fastai and timm 64 from
500 training rows on. The network is timm's tf_efficientnet_lite0 with tlpipe's built-in weights, and is held against
the reference network first.

A line of the CSV is a training: accuracies, seconds of the wall and of the processor for the training alone (pixels
lie in memory), and with --predictions what each validation and test row was taken for.
Needs: torch, timm, fastai, scikit-learn, pyarrow, safetensors.
"""

import argparse
import csv
import pathlib
import random
import sys
import time

import numpy as np
import pyarrow
import safetensors.torch
import timm
import torch

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "internal" / "backbone" / "testdata"))
import efficientnet_lite0 as reference

COLUMNS = ["set", "recipe", "seed", "epochs", "batch", "mirror", "train_rows", "validation_accuracy", "validation_loss",
           "test_accuracy", "seconds", "cpu_seconds", "threads", "note"]  # fmt: skip


class Set:
    """Pixels, classes and splits of an exported artifact."""

    def __init__(self, path):
        table = pyarrow.ipc.open_file(path).read_all()
        self.name = pathlib.Path(path).stem
        pixels = torch.from_numpy(table["image"].combine_chunks().to_numpy_ndarray().copy())
        self.pixels = pixels.permute(0, 3, 1, 2)  # they lie as channels_last, in which PyTorch trains this network 1.3 to 1.6 times as fast
        self.ids, labels = table["id"].to_pylist(), table["label"].to_pylist()
        self.classes = sorted(set(labels))
        self.y = torch.tensor([self.classes.index(label) for label in labels])
        split = np.array(table["split"].to_pylist())
        self.rows = {name: torch.from_numpy(np.flatnonzero(split == name)) for name in ("train", "val", "test")}

    def batch(self, rows, mirror=False):
        x = self.pixels[rows]
        if mirror:
            flipped = torch.rand(len(rows)) < 0.5
            x[flipped] = x[flipped].flip(-1)
        return (x.float() - reference.MEAN) / reference.STD, self.y[rows]


def backbone():
    """timm's network without a classifier, with tlpipe's weights."""
    tensors = safetensors.torch.load_file(ROOT / "internal" / "backbone" / "weights" / "efficientnet_lite0.safetensors")
    wanted = reference.load(tensors)
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    ours = model.state_dict()
    theirs = wanted.state_dict()
    assert len(ours) == len(theirs)
    for name, tensor in zip(ours, theirs.values()):  # both list their layers from the stem to the classifier
        assert ours[name].shape == tensor.shape, name
        ours[name] = tensor
    model.load_state_dict(ours)
    model.eval()
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(model(x), wanted(x), atol=1e-4)
    model.reset_classifier(0)
    return model.to(memory_format=torch.channels_last)


def scores(model, data, rows):
    """Logits of the rows, in evaluation mode."""
    model.eval()
    with torch.no_grad():
        return torch.cat([model(data.batch(part)[0]) for part in rows.split(100)])


def fastai(data, options, epochs, batch):
    from fastai.callback.schedule import Learner  # with fine_tune
    from fastai.data.core import DataLoaders
    from fastai.losses import CrossEntropyLossFlat
    from fastai.vision.learner import add_head, default_split

    class Body(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = backbone()

        def forward(self, x):
            return self.model.forward_features(x)

    class Rows(torch.utils.data.Dataset):
        def __init__(self, rows, mirror):
            self.rows, self.mirror = rows, mirror

        def __len__(self):
            return len(self.rows)

        def __getitem__(self, i):
            x, y = data.batch(self.rows[i : i + 1], self.mirror)
            return x[0], y[0]

    sets = Rows(data.rows["train"], options.mirror), Rows(data.rows["val"], False)
    loaders = DataLoaders.from_dsets(*sets, bs=batch, num_workers=0, device=torch.device("cpu"))
    model = add_head(Body(), 1280, len(data.classes))
    learner = Learner(loaders, model, loss_func=CrossEntropyLossFlat(), splitter=default_split)
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(epochs)
    return model


def train(data, options, epochs, batch, model, loss_of, optimizer, rate_at, norms):
    """The loop of the recipes without a library's own. rate_at(step, steps) sets the optimizer's rates."""
    rows = data.rows["train"]
    steps, step = epochs * -(-len(rows) // batch), 0
    for _ in range(epochs):
        model.train()
        if not norms:
            for part in model.modules():
                if isinstance(part, torch.nn.BatchNorm2d):
                    part.eval()
        for part in rows[torch.randperm(len(rows))].split(batch):
            step += 1
            if norms and len(part) == 1:
                continue  # a batch-norm over one row of one pixel has no variance
            rate_at(step - 1, steps)
            x, y = data.batch(part, options.mirror)
            optimizer.zero_grad()
            loss_of(model(x), y).backward()
            optimizer.step()
    return model


def timm_recipe(data, options, epochs, batch, sgd=False):
    from timm.loss import LabelSmoothingCrossEntropy
    from timm.optim import create_optimizer_v2
    from timm.scheduler import CosineLRScheduler

    model = backbone()
    model.reset_classifier(len(data.classes))
    if sgd:
        rate = 0.1 * (0.1 * batch / 256)
        optimizer = create_optimizer_v2(model, "sgd", lr=rate, weight_decay=2e-5, momentum=0.9)
    else:
        rate = 1e-3 * (batch / 256) ** 0.5
        optimizer = create_optimizer_v2(model, "adamw", lr=rate, weight_decay=0.05)
    an_epoch = -(-len(data.rows["train"]) // batch)
    schedule = CosineLRScheduler(optimizer, t_initial=epochs * an_epoch, warmup_t=an_epoch, warmup_lr_init=1e-5, warmup_prefix=False,
                                 t_in_epochs=False)  # fmt: skip
    loss = LabelSmoothingCrossEntropy(0.1)
    return train(data, options, epochs, batch, model, loss, optimizer, lambda step, steps: schedule.step_update(step), norms=True)


def timm_sgd(data, options, epochs, batch):
    return timm_recipe(data, options, epochs, batch, sgd=True)


def plain(data, options, epochs, batch):
    model = backbone()
    body = list(model.parameters())
    model.reset_classifier(len(data.classes))
    torch.nn.init.zeros_(model.classifier.weight)
    torch.nn.init.zeros_(model.classifier.bias)
    groups = [{"params": body, "peak": 3e-4}, {"params": list(model.classifier.parameters()), "peak": 3e-3}]
    optimizer = torch.optim.AdamW(groups, lr=3e-4, weight_decay=0.01)

    def rate_at(step, steps):
        warm = max(1, steps // 10)
        share = (step + 1) / warm if step < warm else 0.5 * (1 + np.cos(np.pi * (step - warm) / (steps - warm)))
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * share

    loss = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    return train(data, options, epochs, 16, model, loss, optimizer, rate_at, norms=False)


def logistic(data, options):
    """Yields (recipe, logits of a set's rows, note, seconds, cpu_seconds)."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    start = time.perf_counter(), time.process_time()
    net = backbone()
    features = {name: scores(net, data, rows).numpy() for name, rows in data.rows.items()}
    extracting = time.perf_counter() - start[0], time.process_time() - start[1]
    y = {name: data.y[rows].numpy() for name, rows in data.rows.items()}

    def fit(c):
        return LogisticRegression(C=c, max_iter=5000).fit(features["train"], y["train"])

    for name, choices in [("logistic_c1", [1.0]), ("logistic", [10.0**k for k in range(-4, 5)])]:
        start = time.perf_counter(), time.process_time()
        fitted = [(c, fit(c)) for c in choices]
        c, best = min(fitted, key=lambda pair: log_loss(y["val"], pair[1].predict_proba(features["val"]), labels=pair[1].classes_))
        seconds = extracting[0] + time.perf_counter() - start[0], extracting[1] + time.process_time() - start[1]

        def logits(name, best=best):  # columns of classes that the training rows lack stay at minus infinity
            out = torch.full((len(features[name]), len(data.classes)), -np.inf)
            out[:, best.classes_] = torch.from_numpy(best.predict_log_proba(features[name])).float()
            return out

        yield name, {part: logits(part) for part in ("val", "test")}, f"C {c:g}; seconds with the features", *seconds


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("arrow")
    arguments.add_argument("--out", required=True)
    arguments.add_argument("--recipe", nargs="+", default=["logistic", "plain", "fastai", "timm", "timm_sgd"])
    arguments.add_argument("--seed", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    arguments.add_argument("--epochs", type=int, default=8)
    arguments.add_argument("--predictions", type=pathlib.Path)
    arguments.add_argument("--no-mirror", dest="mirror", action="store_false")
    arguments.add_argument("--threads", type=int, default=1)
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    data = Set(options.arrow)
    rows = len(data.rows["train"])
    out = pathlib.Path(options.out)
    done = set()
    if out.exists():  # an interrupted study goes on
        done = {(line["recipe"], line["seed"], line["epochs"]) for line in csv.DictReader(out.open())}
    else:
        out.write_text(",".join(COLUMNS) + "\n")

    def write(recipe, seed, epochs, batch, logits, seconds, cpu, note=""):
        right = {part: float((z.argmax(1) == data.y[data.rows[part]]).float().mean()) for part, z in logits.items()}
        loss = float(torch.nn.functional.cross_entropy(logits["val"], data.y[data.rows["val"]]))
        line = [data.name, recipe, seed, epochs, batch, int(options.mirror), rows, f"{right['val']:.4f}", f"{loss:.4f}", f"{right['test']:.4f}",
                f"{seconds:.1f}", f"{cpu:.1f}", options.threads, note]  # fmt: skip
        with out.open("a") as file:
            csv.writer(file, lineterminator="\n").writerow(line)
        print(*line, flush=True)
        if options.predictions:
            options.predictions.mkdir(parents=True, exist_ok=True)
            with (options.predictions / f"{data.name}-{recipe}-{seed}.csv").open("w") as file:
                lines = csv.writer(file, lineterminator="\n")
                lines.writerow(["id", "split", "label", "predicted"])
                for part, z in logits.items():
                    for row, guess in zip(data.rows[part], z.argmax(1)):
                        lines.writerow([data.ids[row], part, data.classes[data.y[row]], data.classes[guess]])

    if "logistic" in options.recipe and ("logistic", "", "") not in done:
        for name, logits, note, seconds, cpu in logistic(data, options):
            write(name, "", "", "", logits, seconds, cpu, note)
    recipes = {"fastai": fastai, "timm": timm_recipe, "timm_sgd": timm_sgd, "plain": plain}
    for seed in options.seed:
        for name in options.recipe:
            if name == "logistic" or (name, str(seed), str(options.epochs)) in done:
                continue
            batch = 16 if name == "plain" or rows < 500 else 64
            random.seed(seed)
            np.random.seed(seed)
            torch.manual_seed(seed)
            start = time.perf_counter(), time.process_time()
            model = recipes[name](data, options, options.epochs, batch)
            seconds, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
            write(name, seed, options.epochs, batch, {part: scores(model, data, data.rows[part]) for part in ("val", "test")}, seconds, cpu)


if __name__ == "__main__":
    main()
