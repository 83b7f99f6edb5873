"""Holds tlpipe's logistic regression against scikit-learn's: seconds and final loss on the same rows, in turn.

    pip install numpy scikit-learn threadpoolctl
    python docs/compare/logistic.py FOLDER [--penalty 1000] [--rounds 3] [--tolerance 1e-4]

FOLDER gets 54,000 rows of 1,280 features in ten classes, as a pooled ReLU network puts them out: not negative, correlated
(96 causes for 1,280 features), of different scales, with classes that overlap. Both fit the same objective, with a penalty
on the weights alone, on two threads: scikit-learn's L-BFGS with OpenBLAS in float32, stopped where its largest gradient is
below --tolerance, and tlpipe's, stopped at 1e-6. OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE must not be set. Run it in the
folder of the sources; it needs Go.
"""

import argparse
import os
import pathlib
import re
import subprocess
import time

for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(variable, None)

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

ROWS, WIDTH, CLASSES, CAUSES = 54_000, 1_280, 10, 96


def make(folder):
    random = np.random.default_rng(0)
    classes = random.integers(0, CLASSES, ROWS)
    means = random.normal(size=(CLASSES, CAUSES)) * 0.27
    causes = (means[classes] + random.normal(size=(ROWS, CAUSES))) / (1 + np.arange(CAUSES)) ** 0.35
    mixing = 2 * random.normal(size=(CAUSES, WIDTH)) / np.sqrt(CAUSES)
    scale, bias = np.exp(random.normal(size=WIDTH) * 0.5), random.normal(size=WIDTH) * 0.3 - 0.1
    features = np.empty((ROWS, WIDTH), np.float32)
    for at in range(0, ROWS, 6_000):
        part = causes[at : at + 6_000] @ mixing + bias
        features[at : at + 6_000] = np.maximum((part + 0.5 * random.normal(size=part.shape)) * scale, 0)
    features.tofile(folder / "features.float32")
    classes.astype(np.int32).tofile(folder / "classes.int32")


def loss(model, features, classes, penalty):
    total = penalty / 2 * (model.coef_.astype(np.float64) ** 2).sum()
    for at in range(0, ROWS, 6_000):
        logits = features[at : at + 6_000].astype(np.float64) @ model.coef_.T.astype(np.float64) + model.intercept_
        top = logits.max(1)
        total += (np.log(np.exp(logits - top[:, None]).sum(1)) + top - logits[np.arange(len(logits)), classes[at : at + 6_000]]).sum()
    return total / ROWS


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--penalty", type=float, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    if not (args.folder / "classes.int32").exists():
        make(args.folder)
    features = np.fromfile(args.folder / "features.float32", np.float32).reshape(ROWS, WIDTH)
    classes = np.fromfile(args.folder / "classes.int32", np.int32)
    environment = os.environ | {"TLPIPE_LOGISTIC": str(args.folder.resolve()), "TLPIPE_PENALTY": str(args.penalty)}
    for _ in range(args.rounds):
        out = subprocess.run(["go", "test", "./internal/shallow", "-run", "^$", "-bench", "LogisticAtScale", "-benchtime", "1x"],
                             capture_output=True, text=True, check=True, env=environment).stdout
        found = re.search(r"([\d.e+]+) ns/op\s+([\d.]+) MB\s+([\d.]+) iterations", out)
        seconds, megabytes, iterations = map(float, found.groups())
        value = float(re.search(r"mean loss ([\d.]+)", out).group(1))
        print(f"tlpipe              {seconds / 1e9:8.1f} s {iterations:6.0f} iterations  loss {value:.8f}  {megabytes:.0f} MB allocated", flush=True)
        with threadpool_limits(2):
            began, own = time.time(), time.process_time()
            model = LogisticRegression(C=1 / args.penalty, tol=args.tolerance, max_iter=10_000).fit(features, classes)
            seconds, own = time.time() - began, time.process_time() - own
        print(f"scikit-learn {sklearn.__version__:6} {seconds:8.1f} s {model.n_iter_[0]:6d} iterations  loss {loss(model, features, classes, args.penalty):.8f}  {own:.1f} s of processor time", flush=True)


if __name__ == "__main__":
    main()
