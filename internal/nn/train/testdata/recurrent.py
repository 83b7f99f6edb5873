"""Writes recurrent.json: the losses of 30 steps of small recurrent networks for texts of several lengths, in float64 in PyTorch: one
layer, two layers in both directions, of torch.nn.LSTM and torch.nn.GRU on packed sequences. Weights and examples are made by formulas;
all examples are one batch. Of an LSTM's two biases the second is zero and does not learn.
"""
import json
import math

import torch

torch.set_default_dtype(torch.float64)
F = torch.nn.functional


def pattern(shape, a, b, m, scale):
    n = math.prod(shape)
    return torch.tensor([((a * i + b) % m - m // 2) / m * 2 * scale for i in range(n)], dtype=torch.float32).double().reshape(shape)


def losses(cell, layers, both):
    lengths = [3 + i * 5 % 7 for i in range(8)]
    ids = torch.tensor([[(7 * i + 3 * j + i * j) % 20 for j in range(10)] for i in range(8)])
    classes = torch.tensor([(i * i + 1) % 3 for i in range(8)])
    words = torch.nn.Embedding(20, 6)
    net = getattr(torch.nn, cell)(6, 5, num_layers=layers, bidirectional=both, batch_first=True)
    logits = torch.nn.Linear(10 if both else 5, 3)
    parameters = [words.weight]
    for layer in range(layers):
        for end in ["", "_reverse"][: 1 + both]:
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                p = getattr(net, f"{kind}_l{layer}{end}")
                if kind == "bias_hh" and cell == "LSTM":
                    torch.nn.init.zeros_(p).requires_grad_(False)
                else:
                    parameters.append(p)
    parameters += [logits.weight, logits.bias]
    with torch.no_grad():
        for i, p in enumerate(parameters):
            p.copy_(pattern(p.shape, 29, 3 + i, 67, 0.5))
    optimizer = torch.optim.Adam(parameters, lr=0.005)
    out = []
    for _ in range(30):
        optimizer.zero_grad()
        state = net(torch.nn.utils.rnn.pack_padded_sequence(words(ids), lengths, batch_first=True, enforce_sorted=False))[1]
        state = state[0] if cell == "LSTM" else state
        loss = F.cross_entropy(logits(torch.cat(list(state[-1 - both :]), 1)), classes)
        loss.backward()
        optimizer.step()
        out.append(round(loss.item(), 8))
    return out


found = {f"{cell.lower()} {layers} {'both' if both else 'forward'}": losses(cell, layers, both)
         for cell in ("LSTM", "GRU") for layers in (1, 2) for both in (False, True)}
json.dump(found, open("recurrent.json", "w"))
