"""The recipe of pipelines/mail_bert.yaml in PyTorch and transformers, on the same mails, in turn with tlpipe.

    python3 docs/compare/mail_bert.py TLPIPE FOLDER [--how features last_block all adapters] [--epochs N] [--rows N] [--threads N]

TLPIPE is the program, FOLDER the encoder's, such as all-MiniLM-L6-v2. For each way to transfer it prints the accuracy on the test
mails with its 95 % interval (Wilson), the processor seconds and the peak memory of both programs. tlpipe runs with a cache of its
own that holds the mails as tokens and nothing else, so that its time has the activations of frozen layers in it; PyTorch's time has
no tokenising in it either. Both are timed without scoring the test mails. Same recipe: tokens, splits, mean pooling, a linear head from 0, AdamW with decay but for biases
and norms, rates of head and encoder, warm-up over a tenth of the steps and linear decay, batches of 16 of about one length padded to their longest, as many
epochs, the epoch with the least validation loss. --rows takes so many training mails instead of the 60, up to 1,064 of those that
are not for the test, and 100 others of these for validation.

Needs torch, transformers and pandas.
"""
import argparse
import json
import math
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
RATES = {"features": (0, 3e-3), "last_block": (1e-4, 3e-3), "all": (5e-5, 3e-3), "adapters": (1e-3, 1e-3)}


def wilson(right, n):
    p, z = right / n, 1.959964
    middle, half = (p + z * z / 2 / n) / (1 + z * z / n), z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / 4 / n / n)
    return f"{p:.3f} ({middle - half:.3f} to {middle + half:.3f})"


def torch_run(folder, csv, how, epochs, threads):
    """Trains in this process and prints one line of JSON."""
    import pandas
    import torch
    import transformers
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    rows = pandas.read_csv(csv)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    sets = {}
    for split in ("train", "val", "test"):
        own = rows[rows.split == split]
        ids = [tokenizer(t, truncation=True, max_length=64, padding=False)["input_ids"] for t in own.text]
        sets[split] = (ids, [int(label == "spam") for label in own.label])
    before = time.process_time()
    model = transformers.AutoModel.from_pretrained(folder).eval()  # no dropout, as in the pipeline
    head = torch.nn.Linear(model.config.hidden_size, 2)
    torch.nn.init.zeros_(head.weight), torch.nn.init.zeros_(head.bias)
    if how != "all":
        for p in model.parameters():
            p.requires_grad_(False)
    if how == "last_block":
        for p in model.encoder.layer[-1].parameters():
            p.requires_grad_(True)
    if how == "adapters":
        class LowRank(torch.nn.Module):
            def __init__(self, base, rank=8, alpha=16):
                super().__init__()
                self.base, self.factor = base, alpha / rank
                self.down = torch.nn.Linear(base.in_features, rank, bias=False)
                self.up = torch.nn.Linear(rank, base.out_features, bias=False)
                torch.nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5)), torch.nn.init.zeros_(self.up.weight)

            def forward(self, x):
                return self.base(x) + self.factor * self.up(self.down(x))
        for layer in model.encoder.layer:
            own = layer.attention.self
            own.query, own.value = LowRank(own.query), LowRank(own.value)
    rate, head_rate = RATES[how]
    groups = []
    for module, lr in ((model, rate), (head, head_rate)):
        named = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
        plain = lambda n: n.endswith("bias") or "LayerNorm" in n
        groups += [{"params": [p for n, p in named if not plain(n)], "lr": lr, "weight_decay": 0.01}, {"params": [p for n, p in named if plain(n)], "lr": lr, "weight_decay": 0}]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]])
    ids, labels = sets["train"]
    steps = epochs * math.ceil(len(ids) / 16)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, steps // 10, steps)

    def logits(texts):
        longest = max(map(len, texts))
        x = torch.tensor([t + [0] * (longest - len(t)) for t in texts])
        mask = torch.tensor([[1] * len(t) + [0] * (longest - len(t)) for t in texts])
        states = model(input_ids=x, attention_mask=mask).last_hidden_state
        return head((states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))

    def measure(split):
        texts, truth = sets[split]
        loss = right = 0
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        with torch.no_grad():
            for i in range(0, len(order), 32):
                run = order[i:i + 32]
                out, y = logits([texts[j] for j in run]), torch.tensor([truth[j] for j in run])
                loss += torch.nn.functional.cross_entropy(out, y, reduction="sum").item()
                right += (out.argmax(1) == y).sum().item()
        return loss / len(texts), right

    best, kept = math.inf, None
    for _ in range(epochs):
        order = torch.randperm(len(ids)).tolist()
        runs = []
        for i in range(0, len(order), 32 * 16):
            window = sorted(order[i:i + 32 * 16], key=lambda j: len(ids[j]))
            runs += [window[k:k + 16] for k in range(0, len(window), 16)]
        for k in torch.randperm(len(runs)).tolist():
            loss = torch.nn.functional.cross_entropy(logits([ids[j] for j in runs[k]]), torch.tensor([labels[j] for j in runs[k]]))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        loss, _ = measure("val")
        if loss < best:
            best, kept = loss, [{k: v.clone() for k, v in m.state_dict().items()} for m in (model, head)]
    seconds, peak = time.process_time() - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model.load_state_dict(kept[0]), head.load_state_dict(kept[1])
    _, right = measure("test")
    print(json.dumps({"right": right, "of": len(sets["test"][0]), "seconds": seconds, "peak": peak}))


def run(args):
    """Runs a program and gives what it printed, processor seconds and peak memory in MB."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as told:
        child = subprocess.Popen(args, stdout=out, stderr=told, text=True)
        _, status, used = os.wait4(child.pid, 0)
        out.seek(0), told.seek(0)
        if status:
            sys.exit(f"{args}: {told.read()}")
        return out.read() + told.read(), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def draw(a, work):
    """Writes a table of the mails with --rows of them for training, 100 others for validation and those of the test, and gives its path."""
    import pandas
    pipeline = work / "all.yaml"
    pipeline.write_text("stages:\n  mails: {uses: text, with: {source: {builtin: mails}}}\n")
    run([a.tlpipe, "run", str(pipeline), "--cache", f"{work}/all"])
    run([a.tlpipe, "show", f"{pipeline}:mails", "--export", f"{work}/all.csv", "--cache", f"{work}/all"])
    rows = pandas.read_csv(work / "all.csv").sample(frac=1, random_state=1)
    tested, others = rows[rows.part == "test"], rows[rows.part != "test"]
    if a.rows + 100 > len(others):
        sys.exit(f"--rows {a.rows}: there are {len(others)} mails beside those of the test, and 100 of them are for validation")
    parts = [others[:a.rows].assign(split="train"), others[a.rows:a.rows + 100].assign(split="val"), tested[:a.tested or len(tested)].assign(split="test")]
    pandas.concat(parts)[["id", "text", "label", "split"]].to_csv(work / "drawn.csv", index=False)
    return work / "drawn.csv"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("tlpipe")
    p.add_argument("folder")
    p.add_argument("--how", nargs="+", default=list(RATES), choices=list(RATES))
    p.add_argument("--epochs", type=int, default=8)
    p.add_argument("--rows", type=int, default=0)
    p.add_argument("--tested", type=int, default=400)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--torch-only", nargs=1, help=argparse.SUPPRESS)
    a = p.parse_args()
    folder = str(pathlib.Path(a.folder).resolve())
    if a.torch_only:
        return torch_run(folder, a.torch_only[0], a.how[0], a.epochs, a.threads)
    with tempfile.TemporaryDirectory() as work:
        text = (ROOT / "pipelines" / "mail_bert.yaml").read_text()
        if a.rows:
            drawn = draw(a, pathlib.Path(work))
            text = re.sub(r"      source:\n(        - .*\n)+", f"      source: {{file: {drawn}}}\n      split: given\n", text, count=1)
        text = text.replace("strategy: $(how)}", f"strategy: $(how), epochs: {a.epochs}}}")
        pipeline = pathlib.Path(work) / "mail_bert.yaml"
        pipeline.write_text(text)
        common = [str(pipeline), "--cache", work + "/cache", "--jobs", str(a.threads), "--set", f"vars.encoder={folder}", "--set", f"vars.tested={a.tested}"]
        run([a.tlpipe, "run", *common, "--only", "mails"])
        csv = work + "/mails.csv"
        run([a.tlpipe, "show", f"{pipeline}:mails", "--export", csv, "--cache", work + "/cache", "--set", f"vars.encoder={folder}", "--set", f"vars.tested={a.tested}"])
        print(f"{'':12} {'tlpipe, s':>10} {'MB':>6} {'transformers, s':>16} {'MB':>6} {'ratio':>6}   accuracy of transformers")
        for how in a.how:
            _, seconds, peak = run([a.tlpipe, "run", *common, "--only", f"net[how={how}]"])
            out, _, _ = run([sys.executable, __file__, a.tlpipe, folder, "--torch-only", csv, "--how", how, "--epochs", str(a.epochs), "--threads", str(a.threads)])
            theirs = json.loads(next(line for line in out.splitlines() if line.startswith("{")))
            print(f"{how:12} {seconds:10.1f} {peak:6.0f} {theirs['seconds']:16.1f} {theirs['peak'] / 1024:6.0f} {seconds / theirs['seconds']:6.2f}   {wilson(theirs['right'], theirs['of'])}", flush=True)
        if set(a.how) == set(RATES):
            out, _, _ = run([a.tlpipe, "run", *common])
            print("accuracy of tlpipe\n" + "\n".join(line for line in out.splitlines() if line.startswith(("MODEL", "net[how=")) and line.split()[-1].isdigit() or line.startswith("MODEL")))


main()
