"""Writes references.json: votes of neighbours from scikit-learn 1.9.1, and a layer of a transformer's encoder
from PyTorch 2.15.0."""
import json

import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier


def pattern(n, a, b, m):
    return np.array([((a * i + b) % m - m // 2) / 8 for i in range(n)])


def votes(weights, metric):
    rows, x = pattern(40 * 6, 373, 5, 1009).reshape(40, 6), pattern(7 * 6, 411, 3, 887).reshape(7, 6)
    rows *= 1 + np.arange(40)[:, None] % 4
    model = KNeighborsClassifier(5, weights=weights, metric=metric, algorithm="brute").fit(rows, [i * i % 3 for i in range(40)])
    distances, _ = KNeighborsClassifier(6, metric=metric, algorithm="brute").fit(rows, [0] * 40).kneighbors(x)
    assert (distances[:, 5] - distances[:, 4] > 1e-6).all()  # no ties about who votes
    shares = model.predict_proba(x)
    full = np.zeros((7, 3))
    full[:, model.classes_] = shares
    return full.flatten().tolist()


def encoder():
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, dropout=0, activation="gelu", batch_first=True).double().eval()
    a = layer.self_attn
    shapes = {"query.weight": (8, 8), "query.bias": (8,), "key.weight": (8, 8), "key.bias": (8,), "value.weight": (8, 8), "value.bias": (8,)}
    others = [a.out_proj.weight, a.out_proj.bias, layer.norm1.weight, layer.norm1.bias, layer.linear1.weight, layer.linear1.bias,
              layer.linear2.weight, layer.linear2.bias, layer.norm2.weight, layer.norm2.bias]
    values = []
    for i, shape in enumerate(list(shapes.values()) + [tuple(p.shape) for p in others]):
        values.append(torch.tensor(pattern(int(np.prod(shape)), 37 + 2 * i, 11 * i + 5, 149) / 16).reshape(shape))
    with torch.no_grad():
        a.in_proj_weight.copy_(torch.cat(values[0:6:2]))
        a.in_proj_bias.copy_(torch.cat(values[1:6:2]))
        for p, v in zip(others, values[6:]):
            p.copy_(v)
        x = torch.tensor(pattern(2 * 3 * 8, 29, 3, 61)).reshape(2, 3, 8)
        return layer(x).flatten().tolist()


with open("references.json", "w") as f:
    cases = {
        "neighbours": votes("uniform", "euclidean"),
        "neighbours, weighted": votes("distance", "euclidean"),
        "neighbours, cosine": votes("uniform", "cosine"),
        "encoder layer": encoder(),
    }
    f.write("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps([round(x, 7) for x in v])}" for k, v in cases.items()) + "\n}\n")
