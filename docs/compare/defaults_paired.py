"""Whether strategies are better than logistic regression on frozen features, row by row.

    python defaults_paired.py LOGISTIC.csv PREDICTIONS.csv [PYTORCH.csv …]

LOGISTIC.csv and PYTORCH.csv are what defaults.py wrote with --predictions; PREDICTIONS.csv is what defaults.sh wrote. LOGISTIC.csv
may also be a PREDICTIONS.csv in which evaluate's baseline is logistic regression.
For each strategy, and each of PyTorch's recipes: the mean accuracy over the seeds on the test rows, the difference from logistic
regression on the same rows, its 95 % interval by a bootstrap that draws seeds and rows (of the emoji, objects: all
styles of one together), and how many of the seeds are above it. Needs numpy.
"""

import collections
import csv
import pathlib
import re
import sys

import numpy as np


def group(row):
    """Rows that are drawn together: an object of the emoji in its styles."""
    return row.split("/", 1)[1] if re.match(r"^(fluent|noto|twemoji)/", row) else row


def right(path):
    """Which test rows are answered rightly, by what answered and row."""
    out = collections.defaultdict(dict)
    for line in csv.DictReader(open(path)):
        if line["split"] == "test":
            out[line.get("model", "")][line["id"]] = line["predicted"] == line["label"]
    return out


def main():
    answers = right(sys.argv[1])
    logistic = answers[next(name for name in answers if name == "" or name.startswith("logistic regression"))]
    ids = sorted(logistic)
    candidates = collections.defaultdict(list)
    for model, answers in right(sys.argv[2]).items():
        word = re.search(r"strategy=(\w+)", model)
        if word:
            candidates[word[1]].append(answers)
    for path in sys.argv[3:]:
        candidates["PyTorch, " + pathlib.Path(path).stem.rsplit("-", 2)[1]].append(right(path)[""])
    groups = collections.defaultdict(list)
    for at, row in enumerate(ids):
        groups[group(row)].append(at)
    groups = [np.array(g) for g in groups.values()]
    base = np.array([logistic[row] for row in ids], float)
    random = np.random.default_rng(1)
    draws = [np.concatenate([groups[i] for i in random.integers(len(groups), size=len(groups))]) for _ in range(2000)]
    print(f"| | seeds | accuracy | less that of logistic regression ({100 * base.mean():.1f} %), 95 % interval | seeds above |\n|---|--:|--:|--:|--:|")
    for name, seeds in candidates.items():
        each = 100 * (np.array([[answers[row] for row in ids] for answers in seeds], float) - base)
        low, high = np.percentile([each[random.integers(len(each), size=len(each))].mean(axis=0)[draw].mean() for draw in draws], [2.5, 97.5])
        above = sum(each.mean(axis=1) > 0)
        print(f"| {name} | {len(seeds)} | {100 * base.mean() + each.mean():.1f} % | {each.mean():+.1f} ({low:+.1f} to {high:+.1f}) | {above} |")


main()
