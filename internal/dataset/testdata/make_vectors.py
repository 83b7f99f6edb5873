"""Rows of numbers in the formats that dataset.Vectors reads: python make_vectors.py, in this folder."""
import os

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import scipy.io
import scipy.sparse

os.makedirs("vectors", exist_ok=True)
rows = np.array([[0.5, -1, 2], [3, 4, 5.25], [6, 7, 8], [9, 1e-3, 11]])
labels = np.array([1, 2, 1, 10])
np.save("vectors/double.npy", rows)
np.save("vectors/columns.npy", np.asfortranarray(rows.astype(np.float32)))
np.save("vectors/labels.npy", labels)
scipy.io.savemat("vectors/rows.mat", {"fts": rows, "labels": labels[:, None], "note": "text"}, do_compression=True)
texts = pa.array([str(x) for x in labels])
lists = pa.array([list(r) for r in rows], type=pa.list_(pa.float32()))
fixed = pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), 3)
pq.write_table(pa.table({"embedding": lists, "label": texts, "site": ["a", "b", "a", "b"]}), "vectors/lists.parquet")
pq.write_table(pa.table({"v": fixed, "label": labels}), "vectors/fixed.parquet", row_group_size=3)
pq.write_table(pa.table({"a": rows[:, 0], "b": rows[:, 1], "c": rows[:, 2], "label": texts}), "vectors/columns.parquet")
ragged = pa.array([[1.0, 2.0], [3.0]], type=pa.list_(pa.float32()))
pq.write_table(pa.table({"v": ragged}), "vectors/ragged.parquet")
holes = pa.array([[1.0, 2.0], None, [3.0, None], [5.0, 6.0]], type=pa.list_(pa.float32()))
pq.write_table(pa.table({"v": holes}), "vectors/holes.parquet")
pa.feather.write_feather(pa.table({"embedding": lists, "label": texts, "site": ["a", "b", "a", "b"]}), "vectors/lists.feather")
pa.feather.write_feather(pa.table({"v": fixed, "label": texts.dictionary_encode()}), "vectors/fixed.arrow", compression="zstd", chunksize=3)
pa.feather.write_feather(pa.table({"a": rows[:, 0], "b": rows[:, 1], "c": rows[:, 2].astype(np.float32), "label": labels}), "vectors/columns.ipc", compression="uncompressed")
pa.feather.write_feather(pa.table({"v": ragged}), "vectors/ragged.arrow")
pa.feather.write_feather(pa.table({"v": holes}), "vectors/holes.arrow")

# Numbers of 16 bits, whole numbers, and labels that are texts.
half = rows.astype(np.float16)
half[3, 1] = 0.25
whole = np.array([[1, -2, 3], [4, 5, 6], [7, 8, 9], [10, 11, 12]])
words = ["ä", "bird", "ä", "cat"]
np.save("vectors/half.npy", half)
np.save("vectors/words.npy", np.array(words))
np.save("vectors/words_big.npy", np.array(words).astype(">U4"))
np.save("vectors/words_bytes.npy", np.array([w.encode() for w in words]))
np.save("vectors/objects.npy", np.array(words, dtype=object))
for name, x, kind in (("half", half, pa.float16()), ("whole", whole, pa.int32()), ("long", whole, pa.int64()), ("unsigned", np.abs(whole) + 2**31, pa.uint32())):
    table = pa.table({"emb": pa.array([list(r) for r in x], type=pa.list_(kind)), "label": texts, "note": [["a"], ["b"], ["c"], ["d"]]})
    pq.write_table(table, f"vectors/{name}.parquet")
    pa.feather.write_feather(table, f"vectors/{name}.arrow")
pq.write_table(pa.table({"x": rows[:, 0], "tags": pa.array([list(r) for r in whole], type=pa.list_(pa.int32())), "label": texts}), "vectors/tags.parquet")
pq.write_table(pa.table({"note": [["a"], ["b"]], "label": ["x", "y"]}), "vectors/notes.parquet")
scipy.io.savemat("vectors/words.mat", {"fts": rows, "labels": np.array(["ab", "cd", "ab", "ef"]), "other": labels[:, None]})
scipy.io.savemat("vectors/cells.mat", {"fts": rows, "labels": np.array(words, dtype=object)})
scipy.io.savemat("vectors/sparse.mat", {"fts": scipy.sparse.csc_matrix(rows), "labels": labels[:, None]})
