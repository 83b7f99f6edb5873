"""Writes losses.json: losses of package objective and their gradients in PyTorch, made with torch 2.15.0."""
import json

import torch
import torch.nn.functional as F


def pattern(shape, a, b, m):
    n = torch.Size(shape).numel()
    return torch.tensor([((a * i + b) % m - m // 2) / 8 for i in range(n)], dtype=torch.float64).reshape(shape)


def run(loss, x):
    x = x.clone().requires_grad_()
    y = loss(x)
    y.backward()
    return {"output": x.flatten().tolist(), "loss": y.item(), "gradient": x.grad.flatten().tolist()}


logits = pattern([4, 3], 37, 11, 49)
classes = torch.tensor([2, 0, 1, 1])
several = torch.tensor([[1.0, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]], dtype=torch.float64)
numbers = pattern([4, 3], 17, 5, 61)
scales = torch.tensor([0.5, 2, 4], dtype=torch.float64)
weights = torch.tensor([0.5, 1, 2.5], dtype=torch.float64)

cases = {
    "cross_entropy": run(lambda x: F.cross_entropy(x, classes), logits),
    "cross_entropy, weighted": run(lambda x: F.cross_entropy(x, classes, weights), logits),
    "cross_entropy, smoothed": run(lambda x: F.cross_entropy(x, classes, weights, label_smoothing=0.2), logits),
    "binary_cross_entropy": run(lambda x: F.binary_cross_entropy_with_logits(x, several), logits),
    "binary_cross_entropy, weighted": run(
        lambda x: F.binary_cross_entropy_with_logits(x, several, pos_weight=weights), logits),
    "binary_cross_entropy, smoothed": run(
        lambda x: F.binary_cross_entropy_with_logits(x, several * 0.8 + 0.1), logits),
    "squared_error": run(lambda x: F.mse_loss(x, numbers), logits),
    "squared_error, scaled": run(lambda x: F.mse_loss(x / scales, numbers / scales), logits),
}
with open("losses.json", "w") as f:
    f.write("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in cases.items()) + "\n}\n")
