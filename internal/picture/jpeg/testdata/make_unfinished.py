"""Writes unfinished.json: the digest of Pillow's pixels of progressive files that end after 1, 2, … of their scans.

A file that ends after n scans is all that stands before its scan n + 1, and an end-of-image marker. Pillow 13.0.0
(libjpeg-turbo 3.2).
"""

import hashlib
import io
import json
import pathlib

from PIL import Image

HERE = pathlib.Path(__file__).parent


def scans(data):
    """The places of the start-of-scan markers."""
    at, found = 2, []
    while True:
        at = data.index(b"\xff", at)
        marker = data[at + 1]
        if marker == 0xD9:
            return found
        if marker in (0x00, 0xFF) or 0xD0 <= marker <= 0xD7:
            at += 1 if marker == 0xFF else 2
            continue
        if marker == 0xDA:
            found.append(at)
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")


index = {}
for path in sorted(HERE.glob("*progressive.jpg")):
    data = path.read_bytes()
    index[path.name] = []
    for at in scans(data)[1:]:
        rgb = Image.open(io.BytesIO(data[:at] + b"\xff\xd9")).convert("RGB")
        index[path.name].append(hashlib.sha256(rgb.tobytes()).hexdigest())
(HERE / "unfinished.json").write_text(json.dumps(index, indent=1) + "\n")
