"""Times an epoch of contrastive training on cached features in PyTorch: 8,192 pairs of 768 and 512 features, batches of 4,096, both
projected to 512 numbers, InfoNCE, AdamW. Prints the processor time of an epoch. Beside it, in stages/finetune/contrastive:
go test -run XXX -bench Epoch -benchtime 5x"""
import sys
import time

import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.manual_seed(1)
rows, batch, widths, width = 8192, 4096, (768, 512), 512
tables = [torch.randn(rows, w) for w in widths]
sides = [torch.nn.Linear(w, width) for w in widths]
scale = torch.nn.Parameter(torch.tensor(1 / 0.07).log())
optimiser = torch.optim.AdamW([p for s in sides for p in s.parameters()] + [scale], lr=1e-3, weight_decay=0.01)
epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
times = []
for _ in range(epochs):
    began = time.process_time()
    order = torch.randperm(rows)
    for at in range(0, rows, batch):
        own = order[at : at + batch]
        a, b = (F.normalize(side(table[own]), dim=1) for side, table in zip(sides, tables))
        logits = scale.exp() * a @ b.T
        labels = torch.arange(len(own))
        loss = (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    times.append(time.process_time() - began)
print("an epoch takes", sorted(times)[len(times) // 2], "s of processor time in the median,", min(times), "at least")
