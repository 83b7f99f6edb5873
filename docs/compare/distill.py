"""Distils the tutorial's larger CNN into its smaller one on Fashion-MNIST in PyTorch, by the recipe of pipelines/distill_cnn.yaml.

    python distill.py [ROWS] [EPOCHS] [SEEDS] [T] [ALPHA]

The student is trained with the teacher (ALPHA · T² · KL at temperature T, summed over the classes, + (1 − ALPHA) · cross-entropy) and alone, from the same
weights; of each, the epoch with the least cross-entropy on the validation rows is kept. Prints accuracies on the 10,000 test images for each
seed, and the mean of distilled − alone with its 95 % interval over the seeds (t distribution). Seconds are of the processor.
"""
import copy
import gzip
import math
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

DATA = "/usr/share/datasets/fashion-mnist/"
GIVEN = sys.argv[1:] + ["10000", "10", "5", "2", "0.5"][len(sys.argv) - 1:]
ROWS, EPOCHS, SEEDS = (int(a) for a in GIVEN[:3])
T, ALPHA = (float(a) for a in GIVEN[3:])
T_975 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 10: 2.262}  # by the number of seeds


def read(name, offset, shape):
    with gzip.open(DATA + name) as f:
        return np.frombuffer(f.read(), np.uint8, offset=offset).reshape(shape)


def images(name):
    x = torch.tensor(read(name, 16, (-1, 1, 28, 28)).copy()).float() / 255
    return F.interpolate(x, 32, mode="bilinear", align_corners=False).repeat(1, 3, 1, 1)


def network(widths, dense, dropout):
    layers, channels, size = [], 3, 32
    for w in widths:
        layers += [nn.Conv2d(channels, w, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        channels, size = w, size // 2
    layers += [nn.Flatten(), nn.Linear(channels * size * size, dense), nn.ReLU()]
    if dropout:
        layers.append(nn.Dropout(dropout))
    net = nn.Sequential(*layers, nn.Linear(dense, 10))
    for m in net:
        if isinstance(m, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(m.weight)
            nn.init.zeros_(m.bias)
    return net


def logits(net, x):
    net.eval()
    with torch.no_grad():
        return torch.cat([net(b) for b in x.split(500)])


def train(net, x, y, val, loss_of):
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    best, kept = math.inf, None
    for _ in range(EPOCHS):
        net.train()
        for at in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            loss_of(net(x[at]), at).backward()
            optimizer.step()
        loss = F.cross_entropy(logits(net, val[0]), val[1]).item()
        if loss < best:
            best, kept = loss, copy.deepcopy(net.state_dict())
    net.load_state_dict(kept)
    return net


torch.set_num_threads(2)
x, y = images("train-images-idx3-ubyte.gz")[:ROWS], torch.tensor(read("train-labels-idx1-ubyte.gz", 8, -1)[:ROWS].astype(np.int64))
test_x, test_y = images("t10k-images-idx3-ubyte.gz"), torch.tensor(read("t10k-labels-idx1-ubyte.gz", 8, -1).astype(np.int64))
differences = []
for seed in range(1, SEEDS + 1):
    torch.manual_seed(seed)
    began = time.process_time()
    order = torch.randperm(len(x))
    learn, held = order[len(x) // 10:], order[:len(x) // 10]
    tx, ty, val = x[learn], y[learn], (x[held], y[held])
    teacher = train(network([32, 64, 128], 256, 0.5), tx, ty, val, lambda z, at: F.cross_entropy(z, ty[at]))
    soft = F.log_softmax(logits(teacher, tx) / T, 1)
    student = network([16, 32], 64, 0)
    alone = train(copy.deepcopy(student), tx, ty, val, lambda z, at: F.cross_entropy(z, ty[at]))
    student = train(student, tx, ty, val, lambda z, at: (1 - ALPHA) * F.cross_entropy(z, ty[at]) + ALPHA * T * T * F.kl_div(
        F.log_softmax(z / T, 1), soft[at], log_target=True, reduction="batchmean"))
    right = [(logits(n, test_x).argmax(1) == test_y).float().mean().item() for n in (teacher, alone, student)]
    differences.append(100 * (right[2] - right[1]))
    print(f"seed {seed}: teacher {right[0]:.4f}, alone {right[1]:.4f}, distilled {right[2]:.4f}, {time.process_time() - began:.0f} s", flush=True)
mean = np.mean(differences)
if SEEDS > 1:
    half = T_975[SEEDS] * np.std(differences, ddof=1) / math.sqrt(SEEDS)
    print(f"distilled − alone: {mean:+.2f} points ({mean - half:+.2f} to {mean + half:+.2f})")
