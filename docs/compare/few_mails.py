"""How many labelled mails does tf-idf need to be as good as vectors that were pre-trained on other texts?

    python3 docs/compare/few_mails.py TLPIPE [--encoder FOLDER] [--mails 10 20 60 200] [--draws 5] [--threads N]

TLPIPE is the program, FOLDER that of a text encoder such as all-MiniLM-L6-v2. Of the built-in mails that are not for the test so many are drawn,
half of them spam, as many times as --draws says. Logistic regression is trained on each draw, on tf-idf, on means of GloVe vectors, plain and
SIF-weighted, and on the encoder's vectors of the first 64 tokens, and scored on the 1,691 test mails. It prints the mean accuracy over the draws with its
95 % interval (Student's t), and the difference to tf-idf on the same draws.

Needs pandas, and with --encoder pyarrow.
"""
import argparse
import json
import math
import pathlib
import statistics
import subprocess
import sys
import tempfile

PIPELINE = """seed: 1
stages:
  mails:
    uses: text
    matrix: {draw: [DRAWS]}
    with: {source: {file: $(draw).csv}, split: given, words: builtin}
  features:
    uses: vectorise
    from: mails
    matrix:
      by:
        tfidf: {method: tfidf, most: 2048}
        mean: {method: mean, vectors: builtin}
        sif: {method: sif, vectors: builtin}
    with: $(by)
  head: {uses: finetune, from: features, with: {head: logistic}}
  scores: {uses: evaluate, from: {model: head, data: features}, with: {baselines: []}}
"""
ENCODE = """stages:
  mails: {uses: text, with: {source: {builtin: mails}, for: FOLDER, length: 64, split: {train: 1}}}
  vectors: {uses: encode, from: mails, with: {encoder: FOLDER}}
"""
ENCODED = """
  vectors: {uses: vectors, matrix: {encoded_draw: [DRAWS]}, with: {source: {file: $(encoded_draw).parquet, features: [feature]}, split: given}}
  encoded_head: {uses: finetune, from: vectors, with: {head: logistic}}
  encoded_scores: {uses: evaluate, from: {model: encoded_head, data: vectors}, with: {baselines: []}}
"""
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}


def interval(xs, sign=""):
    half = STUDENT[len(xs)] * statistics.stdev(xs) / math.sqrt(len(xs))
    return f"{statistics.mean(xs):{sign}.3f} ± {half:.3f}"


def run(*args):
    done = subprocess.run(args, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{args}: {done.stderr}")
    return done.stdout


def main():
    p = argparse.ArgumentParser()
    p.add_argument("tlpipe")
    p.add_argument("--encoder", metavar="FOLDER")
    p.add_argument("--mails", type=int, nargs="+", default=[10, 20, 60, 200])
    p.add_argument("--draws", type=int, default=5)
    p.add_argument("--threads", type=int, default=2)
    a = p.parse_args()
    import pandas
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        (work / "all.yaml").write_text("stages:\n  mails: {uses: text, with: {source: {builtin: mails}}}\n")
        run(a.tlpipe, "run", f"{work}/all.yaml", "--cache", f"{work}/cache")
        run(a.tlpipe, "show", f"{work}/all.yaml:mails", "--export", f"{work}/all.csv", "--cache", f"{work}/cache")
        rows = pandas.read_csv(work / "all.csv")
        tested, others = rows[rows.part == "test"], rows[rows.part != "test"]
        names, encoded = [], None
        if a.encoder:
            (work / "encode.yaml").write_text(ENCODE.replace("FOLDER", str(pathlib.Path(a.encoder).resolve())))
            run(a.tlpipe, "run", f"{work}/encode.yaml", "--cache", f"{work}/cache", "--jobs", str(a.threads))
            run(a.tlpipe, "show", f"{work}/encode.yaml:vectors", "--export", f"{work}/encode.parquet", "--cache", f"{work}/cache")
            encoded = pandas.read_parquet(work / "encode.parquet").set_index("id")
        for n in a.mails:
            for draw in range(a.draws):
                few = [g.sample(n // 2, random_state=draw) for _, g in others.groupby("label")]
                out = pandas.concat([tested.assign(split="test")] + [f.assign(split="train") for f in few])
                names.append(f"n{n}_{draw}")
                out[["id", "text", "label", "split"]].to_csv(work / f"{names[-1]}.csv", index=False)
                if encoded is not None:
                    out[["id", "label", "split"]].assign(feature=encoded.feature.loc[out.id].to_list()).to_parquet(work / f"{names[-1]}.parquet")
        text = (PIPELINE + (ENCODED if a.encoder else "")).replace("DRAWS", ", ".join(names))
        (work / "few.yaml").write_text(text)
        out = run(a.tlpipe, "run", f"{work}/few.yaml", "--cache", f"{work}/cache", "--jobs", str(a.threads), "--json")
        metrics = json.loads(out.splitlines()[-1])["metrics"]
        if not metrics:
            sys.exit("there are no metrics in the run")
        ways = ["tfidf", "mean", "sif"] + ["encoder"] * bool(a.encoder)
        for n in a.mails:
            found = {way: [0.0] * a.draws for way in ways}
            for name, value in metrics.items():
                stage, _, what = name.rpartition(".")
                if what != "accuracy" or "head[" not in stage:
                    continue
                own = dict(part.split("=") for part in stage[stage.index("[") + 1:stage.rindex("]")].split(","))
                size, draw = (own.get("draw") or own["encoded_draw"])[1:].split("_")
                if int(size) == n:
                    found[own.get("by", "encoder")][int(draw)] = value
            print(f"{n:5} mails  " + "  ".join(f"{w} {interval(xs)}" for w, xs in found.items()))
            print(" " * 12 + "  ".join(f"{w} - tfidf {interval([x - y for x, y in zip(xs, found['tfidf'])], '+')}" for w, xs in found.items() if w != "tfidf"), flush=True)


main()
