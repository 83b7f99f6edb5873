"""Writes episodes.json: what easyfsl 1.5 and scikit-learn answer on a few episodes of random features.

    pip install torch easyfsl scikit-learn && python episodes.py
"""
import json, os
import numpy as np, torch
from easyfsl.methods import TIM, Finetune, LaplacianShot, PrototypicalNetworks, SimpleShot
from sklearn.linear_model import LogisticRegression

random = np.random.default_rng(3)
classes, each, width, way, shot, query = 8, 24, 20, 5, 3, 6
centres = random.normal(size=(classes, width)) * 0.7 + 0.5
features = (centres[:, None] + random.normal(size=(classes, each, width))).astype(np.float32)
base = (random.normal(size=width) * 0.3 + 0.5).astype(np.float32)
episodes = []
for _ in range(12):
    chosen = random.permutation(classes)[:way]
    support, queries = [], []
    for c in chosen:
        rows = random.permutation(each)
        support += [int(c * each + r) for r in rows[:shot]]
        queries += [int(c * each + r) for r in rows[shot : shot + query]]
    flat = torch.tensor(features.reshape(-1, width))
    labels = torch.arange(way).repeat_interleave(shot)
    x, q = flat[support], flat[queries]
    answers, scores = {}, {}
    for name, method in {
        "prototypical": PrototypicalNetworks(torch.nn.Identity()),
        "cosine": SimpleShot(torch.nn.Identity(), feature_normalization=2),
        "simple_shot": PrototypicalNetworks(torch.nn.Identity(), feature_centering=torch.tensor(base), feature_normalization=2),
        "laplacian_shot": LaplacianShot(torch.nn.Identity(), feature_centering=torch.tensor(base), feature_normalization=2),
        "fine_tuned": Finetune(torch.nn.Identity(), temperature=10.0, feature_normalization=2),
        "tim": TIM(torch.nn.Identity(), feature_centering=torch.tensor(base), feature_normalization=2),
    }.items():
        method.process_support_set(x, labels)
        given = method(q)
        answers[name] = given.argmax(1).tolist()
        if name in ("fine_tuned", "tim"):
            scores[name] = [round(float(v), 6) for v in given.flatten()]
    unit = lambda t: torch.nn.functional.normalize(t, dim=1).numpy()
    answers["nearest_neighbour"] = labels[torch.tensor(unit(q) @ unit(x).T).argmax(1)].tolist()
    answers["logistic"] = LogisticRegression(C=1.0, tol=1e-8, max_iter=10000).fit(unit(x), labels.numpy()).predict(unit(q)).tolist()
    episodes.append({"support": support, "queries": queries, "answers": answers, "scores": scores})
out = {"width": width, "way": way, "shot": shot, "query": query, "features": [round(float(v), 6) for v in features.ravel()], "base": [float(v) for v in base], "episodes": episodes}
json.dump(out, open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "episodes.json"), "w"), separators=(",", ":"))
