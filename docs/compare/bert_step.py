"""Steps of training all layers of BERT-base on 16 texts of 128 tokens, in PyTorch: processor seconds a step, after one of warm-up.

    python3 docs/compare/bert_step.py [BLOCKS] [THREADS] [STEPS]

tlpipe's are: TLPIPE_BLOCKS=12 go test ./internal/encoder -run NONE -bench TrainingStep -benchtime 3x

Needs torch and transformers.
"""
import sys
import time

import torch
import transformers

blocks, threads, steps = (int(x) for x in (sys.argv[1:] + ["12", "1", "3"][len(sys.argv) - 1:]))
torch.set_num_threads(threads)
torch.manual_seed(1)
config = transformers.BertConfig(num_hidden_layers=blocks, hidden_dropout_prob=0, attention_probs_dropout_prob=0)
model, head = transformers.BertModel(config, add_pooling_layer=False).train(), torch.nn.Linear(768, 2)
optimizer = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=5e-5, weight_decay=0.01)
ids = torch.tensor([i * 7919 % 30000 + 100 for i in range(16 * 128)]).view(16, 128)
classes = torch.tensor([i % 2 for i in range(16)])


def step():
    optimizer.zero_grad()
    states = model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    torch.nn.functional.cross_entropy(head(states[:, 0]), classes).backward()
    optimizer.step()


step()
before, clock = time.process_time(), time.time()
for _ in range(steps):
    step()
print(f"PyTorch, {blocks} blocks, {threads} threads: {(time.process_time() - before) / steps:.2f} processor seconds a step, {(time.time() - clock) / steps:.2f} by the clock")
