"""Compares the tokens of tlpipe with those of Hugging Face's tokenizers, id by id, on 10,000 lines of 20 scripts, and the time of both.

    python tokens.py TLPIPE [--lines 10000]

TLPIPE is the program's path. The published tokenizers are not downloaded: tokenizers of the same configurations (normaliser,
pre-tokeniser, model, post-processor) are trained on the lines and written as tokenizer.json.

    bert-uncased, bert-cased   WordPiece, as BERT and all-MiniLM
    roberta                    byte-level BPE
    clip                       BPE of lower-case words that end in </w>
    llama                      BPE with byte fallback, as WordLlama
    t5                         Unigram with Metaspace

Lines mix words of the scripts with accents (composed and not), emoji, numbers, punctuation, control characters, long words and unusual
spaces. Seconds are of the processor, of one thread: tlpipe's those of its whole run, which reads and writes tables too.

Needs: tokenizers, pyarrow; Unix.
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import tempfile
import time
import unicodedata

import pyarrow.parquet
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SCRIPTS = {
    "Latin": (0x61, 0x7A), "Latin accented": (0xC0, 0x17F), "Vietnamese": (0x1EA0, 0x1EF9), "Greek": (0x391, 0x3C9), "Cyrillic": (0x410, 0x44F),
    "Armenian": (0x561, 0x586), "Hebrew": (0x5D0, 0x5EA), "Arabic": (0x621, 0x64A), "Devanagari": (0x904, 0x94D), "Bengali": (0x985, 0x9CD),
    "Tamil": (0xB85, 0xBCD), "Telugu": (0xC05, 0xC4D), "Thai": (0xE01, 0xE4E), "Tibetan": (0xF40, 0xFBC), "Georgian": (0x10D0, 0x10FA),
    "Ethiopic": (0x1200, 0x1357), "Khmer": (0x1780, 0x17D3), "Hiragana and Katakana": (0x3041, 0x30FE), "Ideographs": (0x4E00, 0x4FFF), "Hangul": (0xAC00, 0xADFF),
}
OTHERS = ["😀", "👩‍🚀", "🇫🇷", "❤️", "𝒳", "½", "ﬁ", "№", "“so”", "don't", "we'll", "3.14", "1,000", "C++", "a_b", "e-mail@example.org", "#tag", "—", "…", "¿", "\u00a0", "\u200b",
          "\u0007", "\t", "  ", "\ufeff", "\u3000", "İ", "ß", "ŉ", "ǅ", "\u0301", "x" * 120, "<s>", "[MASK]", "</s>", "\u2028", "\ufffd", "\U00020000"]


def lines(count):
    draw = random.Random(1)
    words = {}
    for name, (low, high) in SCRIPTS.items():
        letters = [chr(c) for c in range(low, high + 1) if unicodedata.category(chr(c)) != "Cn"]
        words[name] = ["".join(draw.choice(letters) for _ in range(draw.randint(1, 9))) for _ in range(300)]
    out = []
    for i in range(count):
        name = draw.choice(list(SCRIPTS)) if i % 3 else "Latin"
        parts = []
        for _ in range(draw.randint(1, 24)):
            word = draw.choice(words[name] if draw.random() < 0.8 else words[draw.choice(list(SCRIPTS))])
            if draw.random() < 0.2:
                word = word.upper() if draw.random() < 0.5 else word.capitalize()
            if draw.random() < 0.1:
                word = unicodedata.normalize("NFD", word)
            parts.append(draw.choice(OTHERS) if draw.random() < 0.12 else word)
        out.append("".join(p + draw.choice([" ", " ", " ", ", ", ". ", "", "-"]) for p in parts) + "end")
    return out


def bert(lower):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=lower)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    return t, trainers.WordPieceTrainer(vocab_size=6000, special_tokens=special, show_progress=False), ("[CLS]", "[SEP]")


def roberta():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    special = ["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True)]
    return t, trainers.BpeTrainer(vocab_size=6000, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False), ("<s>", "</s>")


def clip():
    t = Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    pattern = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(pattern, "removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    special = ["<|startoftext|>", "<|endoftext|>"]
    trainer = trainers.BpeTrainer(vocab_size=6000, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), end_of_word_suffix="</w>", show_progress=False)
    return t, trainer, ("<|startoftext|>", "<|endoftext|>")


def llama():
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    return t, trainers.BpeTrainer(vocab_size=4000, limit_alphabet=300, special_tokens=special, max_token_length=16, show_progress=False), ("<s>", None)


def t5():
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    return t, trainers.UnigramTrainer(vocab_size=4000, unk_token="<unk>", special_tokens=["<pad>", "</s>", "<unk>"], show_progress=False), (None, "</s>")


def write(name, made, texts, folder):
    """Trains a tokenizer, with its special tokens around a text, and stores it."""
    t, trainer, (first, last) = made
    t.train_from_iterator([x for x in texts if len(x) < 400] if name == "llama" else texts, trainer)
    around = " ".join([first] * bool(first) + ["$A"] + [last] * bool(last))
    t.post_processor = processors.TemplateProcessing(single=around, special_tokens=[(x, t.token_to_id(x)) for x in (first, last) if x])
    folder.mkdir()
    if name == "llama":  # bytes are tokens of the model, no added ones
        said = json.loads(t.to_str())
        said["added_tokens"] = [a for a in said["added_tokens"] if not a["content"].startswith("<0x")]
        (folder / "tokenizer.json").write_text(json.dumps(said))
        return Tokenizer.from_file(str(folder / "tokenizer.json"))
    t.save(str(folder / "tokenizer.json"))
    return t


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("tlpipe")
    arguments.add_argument("--lines", type=int, default=10000)
    options = arguments.parse_args()
    os.environ["RAYON_NUM_THREADS"], os.environ["TOKENIZERS_PARALLELISM"] = "1", "false"
    texts = lines(options.lines)
    kinds = {"bert-uncased": bert(True), "bert-cased": bert(False), "roberta": roberta(), "clip": clip(), "llama": llama(), "t5": t5()}
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        (work / "lines.jsonl").write_text("".join(json.dumps({"text": x}) + "\n" for x in texts))
        for name, made in kinds.items():
            t = write(name, made, texts, work / name)
            file = work / f"{name}.yaml"
            file.write_text(f"stages:\n  t: {{uses: text, with: {{source: {{file: lines.jsonl}}, for: {name}, length: 65536, split: {{train: 1}}}}}}\n")
            start = os.times()
            subprocess.run([options.tlpipe, "run", file, "--cache", work / "cache", "--jobs", "1"], check=True, capture_output=True)
            end = os.times()
            ours = end.children_user + end.children_system - start.children_user - start.children_system
            subprocess.run([options.tlpipe, "show", f"{file}:t", "--cache", work / "cache", "--export", work / "t.parquet"], check=True, capture_output=True)
            table = pyarrow.parquet.read_table(work / "t.parquet", columns=["text", "tokens"])
            said, got = table["text"].to_pylist(), table["tokens"].to_pylist()
            before = time.process_time()
            want = [t.encode(x).ids for x in said]
            theirs = time.process_time() - before
            wrong = [i for i in range(len(said)) if got[i] != want[i]]
            print(f"{name:13} {len(said)} lines, {sum(map(len, want))} tokens, {len(wrong)} lines differ; tlpipe {ours:.2f} s with tables, tokenizers {theirs:.2f} s", flush=True)
            for i in wrong[:3]:
                print("   ", repr(said[i][:160]), "\n      tlpipe    ", [t.id_to_token(x) for x in got[i][:24]], "\n      tokenizers", [t.id_to_token(x) for x in want[i][:24]])


if __name__ == "__main__":
    main()
