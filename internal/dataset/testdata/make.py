"""Makes small Parquet files as the Hugging Face hub has them, with pyarrow 26.

    python3 make.py

train-00000-of-00001.parquet  6 rows in row groups of 2: image struct<bytes, path>, label as a
                              ClassLabel number, width, objects (a list, to be left out); row 3 has
                              no bytes, row 4 no label (-1)
plain.parquet                 3 rows: picture as bytes, kind as text, key, fold; Snappy, dictionary pages
pixels.json                   the SHA-256 of each picture's bytes
"""

import hashlib
import io
import json
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

HERE = pathlib.Path(__file__).parent


def png(level):
    out = io.BytesIO()
    Image.new("RGB", (3, 2), (level, 0, 255 - level)).save(out, "PNG")
    return out.getvalue()


pictures = [png(40 * i) for i in range(6)]
described = {
    "info": {
        "features": {
            "image": {"_type": "Image"},
            "label": {"names": ["cat", "dog"], "_type": "ClassLabel"},
            "width": {"dtype": "int64", "_type": "Value"},
            "objects": {"feature": {"dtype": "int64", "_type": "Value"}, "_type": "Sequence"},
        }
    }
}
table = pa.table(
    {
        "image": pa.array(
            [{"bytes": None if i == 3 else p, "path": f"{i}.png"} for i, p in enumerate(pictures)],
            pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
        ),
        "label": pa.array([0, 1, 0, 1, -1, 1], pa.int64()),
        "width": pa.array([3, 3, None, 3, 3, 3], pa.int64()),
        "objects": pa.array([[1], [], [2, 3], None, [4], [5]], pa.list_(pa.int64())),
    }
).replace_schema_metadata({"huggingface": json.dumps(described)})
pq.write_table(table, HERE / "train-00000-of-00001.parquet", row_group_size=2)

plain = pa.table(
    {
        "picture": pa.array(pictures[:3], pa.binary()),
        "kind": ["cat", None, "dog"],
        "key": ["a", "b", "c"],
        "fold": ["train", "validation", "test"],
    }
)
pq.write_table(plain, HERE / "plain.parquet", compression="snappy")
(HERE / "pixels.json").write_text(json.dumps([hashlib.sha256(p).hexdigest() for p in pictures], indent=1) + "\n")
