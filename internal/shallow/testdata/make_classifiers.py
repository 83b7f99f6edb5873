"""Writes classifiers.json: what scikit-learn's classifiers make of small made-up rows.

    python make_classifiers.py
"""

import json
import pathlib

import numpy as np
import sklearn
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.preprocessing import normalize

sets = []
for seed, classes, rows, width in ((1, 3, 60, 5), (2, 2, 40, 6), (3, 4, 24, 30)):
    random = np.random.default_rng(seed)
    centres = random.normal(size=(classes, width))
    y = np.concatenate([np.arange(classes), random.integers(0, classes, rows - classes)])
    mixing = np.eye(width) + 0.3 * random.normal(size=(width, width))
    x = ((centres[y] + random.normal(size=(rows, width)) @ mixing) + 2).round(3)
    x[:, 1] *= 10
    new = (x[:8] + random.normal(size=(8, width))).round(3)
    x, new = x.astype(np.float32), new.astype(np.float32)
    X, N = x.astype(np.float64), new.astype(np.float64)

    def linear(model):
        return {"weights": np.atleast_2d(model.coef_).tolist(), "bias": np.atleast_1d(model.intercept_).tolist()}

    ridge = [{"penalty": a} | linear(RidgeClassifier(alpha=a).fit(X, y)) for a in (0.01, 1, 100)]
    lda = []
    for shrinkage in ("auto", 0.3, *([0.0] if rows > width else [])):
        for solver in ("lsqr", "eigen"):
            model = LinearDiscriminantAnalysis(solver=solver, shrinkage=shrinkage).fit(X, y)
            lda.append({"shrinkage": None if shrinkage == "auto" else shrinkage, "solver": solver,
                        "probabilities": model.predict_proba(N).tolist()} | linear(model))
    # Distances to the class means; cosines to the means of normalised rows.
    centres = NearestCentroid().fit(X, y).centroids_
    directions = normalize(NearestCentroid().fit(normalize(X), y).centroids_)
    centroid = {"euclidean": (((N[:, None] - centres[None]) ** 2).sum(-1)).tolist(), "cosine": (normalize(N) @ directions.T).tolist()}
    knn = []
    for metric in ("euclidean", "cosine"):
        for weights in ("uniform", "distance"):
            of = normalize if metric == "cosine" else (lambda v: v)  # distances of normalised rows weigh the votes here
            model = KNeighborsClassifier(5, weights=weights).fit(of(X), y)
            knn.append({"metric": metric, "weighted": weights == "distance", "probabilities": model.predict_proba(of(N)).tolist()})
    sets.append({"classes": classes, "x": x.tolist(), "y": y.tolist(), "new": new.tolist(),
                 "ridge": ridge, "lda": lda, "centroid": centroid, "knn": knn})
out = {"scikit-learn": sklearn.__version__, "sets": sets}


def short(value):
    """Rounds numbers to nine digits."""
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, list):
        return [short(v) for v in value]
    if isinstance(value, dict):
        return {k: short(v) for k, v in value.items()}
    return value


pathlib.Path(__file__).with_name("classifiers.json").write_text(json.dumps(short(out)))
