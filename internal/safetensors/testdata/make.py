"""Makes types.safetensors: the same numbers in each type. Needs PyTorch and safetensors."""

import pathlib

import torch
from safetensors.torch import save_file

x = torch.tensor([[0, 1, -2.5], [0.0625, 240, -0.15625]], dtype=torch.float64)
tensors = {
    "F64": x,
    "F32": x.float(),
    "F16": x.half(),
    "BF16": x.bfloat16(),
    "I64": x.long(),
    "scalar": torch.tensor(3.0),
    "empty": torch.zeros(0, 4),
}
save_file(tensors, pathlib.Path(__file__).parent / "types.safetensors", {"made by": "make.py"})
