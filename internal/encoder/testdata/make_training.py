"""Writes training.json: the losses of 30 steps of fine-tuning the tiny BERT in this folder as transformers' Trainer does it (AdamW
with decay but for biases and norms, warm-up over a tenth of the steps and linear decay), all layers, and with low-rank adapters
beside queries and values alone. In float64, without dropout; all examples are one batch. Run in this folder: python make_training.py
"""
import json
import math

import torch
import transformers

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)
STEPS, RATE = 30, 5e-3
lengths = [3 + 5 * i % 9 for i in range(8)]
texts = [[2] + [(7 * i + 3 * j + i * j) % 35 + 5 for j in range(n - 2)] + [3] for i, n in enumerate(lengths)]
classes = torch.tensor([(i * i + 1) % 3 for i in range(8)])
pad = max(lengths)
ids = torch.tensor([t + [0] * (pad - len(t)) for t in texts])
mask = torch.tensor([[1] * len(t) + [0] * (pad - len(t)) for t in texts])


class LowRank(torch.nn.Module):
    """A dense layer with an adapter of rank 2 beside it, times alpha/rank."""

    def __init__(self, base, number):
        super().__init__()
        self.base = base
        n = 2 * base.in_features
        self.down = torch.nn.Parameter(torch.tensor([((29 * i + 3 + number) % 67 - 33) / 67 for i in range(n)], dtype=torch.float32).double().reshape(2, -1))
        self.up = torch.nn.Parameter(torch.zeros(base.out_features, 2))

    def forward(self, x):
        return self.base(x) + 4 / 2 * (x @ self.down.T @ self.up.T)


def losses(low_rank):
    model = transformers.BertModel.from_pretrained("bert", add_pooling_layer=False, dtype=torch.float64, attn_implementation="eager").eval()
    logits = torch.nn.Linear(12, 3)
    torch.nn.init.zeros_(logits.weight), torch.nn.init.zeros_(logits.bias)
    if low_rank:
        for p in model.parameters():
            p.requires_grad_(False)
        for i, layer in enumerate(model.encoder.layer):
            own = layer.attention.self
            own.query, own.value = LowRank(own.query, 2 * i), LowRank(own.value, 2 * i + 1)
    named = [(n, p) for n, p in list(model.named_parameters()) + list(logits.named_parameters()) if p.requires_grad]
    plain = [p for n, p in named if n.endswith("bias") or "LayerNorm" in n]
    decayed = [p for n, p in named if not (n.endswith("bias") or "LayerNorm" in n)]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0}], lr=RATE)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, STEPS // 10, STEPS)
    out = []
    for _ in range(STEPS):
        x = model(input_ids=ids, attention_mask=mask).last_hidden_state
        pooled = (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        loss = torch.nn.functional.cross_entropy(logits(pooled), classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        out.append(round(loss.item(), 9))
        assert math.isfinite(out[-1])
    return out


json.dump({"texts": texts, "full": losses(False), "lora": losses(True)}, open("training.json", "w"), indent=None)
