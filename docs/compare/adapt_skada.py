"""Holds CORAL and subspace alignment of tlpipe against skada's, on the same rows with the same recipe.

    pip install skada pyarrow
    tlpipe run pipelines/adapt.yaml
    tlpipe show pipelines/adapt.yaml:source --export source.parquet
    tlpipe show pipelines/adapt.yaml:target --export target.parquet
    python docs/compare/adapt_skada.py source.parquet target.parquet

Each domain is brought to mean 0 and variance 1 over its own training rows. tlpipe adds 1 to the variances, skada shrinks
the covariance towards the identity by one half: the same map, for both square roots are divided by the root of two. The
classifier is multinomial logistic regression whose penalty is chosen of 17 by the log loss on the source's validation
rows. Besides, skada with its own defaults: features as they are, no regularisation, C = 1.
"""
import sys

import numpy as np
import pyarrow.parquet as parquet
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from skada import CORALAdapter, SubspaceAlignmentAdapter


def read(path):
    table = parquet.read_table(path)
    features = table["feature"].combine_chunks()
    features = getattr(features, "storage", features).flatten().to_numpy(zero_copy_only=False).reshape(len(table), -1)
    return features.astype(np.float64), np.array(table["label"]), np.array(table["split"])


def standardise(x, split):
    train = x[split == "train"]
    spread = train.std(0)
    return (x - train.mean(0)) / np.where(spread > 0, spread, 1)


def classify(x, y, split, answer, rows):
    best = None
    for penalty in 10.0 ** np.arange(4, -4.1, -0.5):
        fitted = LogisticRegression(C=1 / penalty, tol=1e-5, max_iter=2000).fit(x[split == "train"], y[split == "train"])
        loss = log_loss(y[split == "val"], fitted.predict_proba(x[split == "val"]), labels=fitted.classes_)
        if best and loss > best[0]:
            break
        best = (loss, penalty, fitted)
    return best[2].predict(answer)[rows], best[1]


def adapted(adapter, source, target, source_split, target_split):
    xs, xt = source[source_split == "train"], target[target_split == "train"]
    domain = np.r_[np.ones(len(xs)), -2 * np.ones(len(xt))]
    adapter.fit(np.r_[xs, xt], sample_domain=domain)

    def move(x, number):
        out = adapter.transform(x, sample_domain=np.full(len(x), number), allow_source=True)
        return np.asarray(getattr(out, "X", out), np.float64)

    return move(source, 1), move(target, -2)


xs, ys, ss = read(sys.argv[1])
xt, yt, st = read(sys.argv[2])
test = st == "test"
us, ut = standardise(xs, ss), standardise(xt, st)


def tell(name, x, t):
    predicted, penalty = classify(x, ys, ss, t, test)
    print(f"{name}: {(predicted == yt[test]).mean():.4f} of {test.sum()} rows, penalty {penalty:g}")


tell("logistic regression on the source, features as they are", xs, xt)
tell("CORAL, the same recipe", *adapted(CORALAdapter(reg=0.5), us, ut, ss, st))
tell("subspace alignment, 20 components, the same recipe", *adapted(SubspaceAlignmentAdapter(n_components=20), us, ut, ss, st))
a, b = adapted(CORALAdapter(), xs, xt, ss, st)
fitted = LogisticRegression(max_iter=2000).fit(a[ss == "train"], ys[ss == "train"])
print(f"CORAL, skada's defaults: {(fitted.predict(b)[test] == yt[test]).mean():.4f}")
