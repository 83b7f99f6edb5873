"""Rows of numbers in the formats that dataset.Vectors reads: python make_vectors.py, in this folder."""
import os

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import scipy.io

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
