"""Makes the small files that the tests read. Needs PyTorch (made with 2.8)."""

import argparse
import collections
import os
import pathlib
import pickle
import sys

import torch

HERE = pathlib.Path(__file__).parent


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(2, 3, 2)
        self.bn = torch.nn.BatchNorm2d(3)


def net():
    """A module whose numbers count: element i of tensor k is 100k + i."""
    model = Net()
    state = model.state_dict()
    for k, x in enumerate(state.values()):
        x.copy_(torch.arange(x.numel()).reshape(x.shape) + 100 * k)
    return model


def main():
    model = net()
    state = model.state_dict()
    torch.save(state, HERE / "state.pth")
    torch.save(state, HERE / "state_legacy.pth", _use_new_zipfile_serialization=False)
    for protocol in (3, 4, 5):
        torch.save(state, HERE / f"protocol{protocol}.pth", pickle_protocol=protocol)
    torch.save(state, HERE / "protocol4_legacy.pth", pickle_protocol=4, _use_new_zipfile_serialization=False)
    torch.save(
        {
            "epoch": 3,
            "arch": "net",
            "state_dict": collections.OrderedDict(("module." + k, v) for k, v in state.items()),
            "best_acc1": torch.tensor(71.5),
            "optimizer": torch.optim.SGD(model.parameters(), 0.1, momentum=0.9).state_dict(),
            "args": argparse.Namespace(lr=0.1, data=["a", "b"]),
        },
        HERE / "checkpoint.pth",
    )
    ema = torch.optim.swa_utils.AveragedModel(model)
    torch.save({"step": 3, "model_state": state, "optimizer_state": {}}, HERE / "model_state_legacy.pth", _use_new_zipfile_serialization=False)
    torch.save({"model": {k: v * 0 for k, v in state.items()}, "model_ema": ema.state_dict()}, HERE / "ema.pth")

    x = torch.arange(24, dtype=torch.float32)
    grid = x.reshape(4, 6)
    views = {
        "all": grid,
        "turned": grid.t(),
        "part": grid[1:3, 2:5],
        "every second": x[1::2],
        "channels last": x.reshape(1, 2, 3, 4).contiguous(memory_format=torch.channels_last),
        "row": grid[2],
        "scalar": x[7],
        "empty": torch.zeros(0, 3),
        "parameter": torch.nn.Parameter(x[:3]),
    }
    torch.save(views, HERE / "views.pth")
    torch.save(views, HERE / "views_legacy.pth", _use_new_zipfile_serialization=False)

    y = torch.tensor([[0, 1, -2.5], [0.0625, 240, -0.15625]], dtype=torch.float64)
    types = {"F64": y, "F32": y.float(), "F16": y.half(), "BF16": y.bfloat16(), "I64": y.long(), "I32": y.int(),
             "I16": y.short(), "I8": y.char(), "U8": y.byte(), "BOOL": y.bool(), "C64": y.to(torch.complex64),
             "C128": y.to(torch.complex128)}
    torch.save(types, HERE / "types_legacy.pth", _use_new_zipfile_serialization=False)
    types |= {"U16": y.long().to(torch.uint16), "F8_E5M2": y.to(torch.float8_e5m2)}
    torch.save(types, HERE / "types.pth")
    torch.serialization.set_default_load_endianness(None)
    big = {"F32": y.float(), "F16": y.half()}
    torch.save(big, HERE / "little.pth")
    make_big(HERE / "little.pth", HERE / "big.pth")
    (HERE / "little.pth").unlink()

    # What is refused.
    sys.modules["nets"] = sys.modules[__name__]
    Net.__module__ = "nets"
    torch.save(model, HERE / "module.pth")
    # It would hold this file and its path, too.
    torch.serialization.get_source_lines_and_file = lambda *_: ("class Net: …", 1, "nets.py")
    torch.save(model, HERE / "module_legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(x, HERE / "tensor.pth")
    torch.save({"epoch": 3, "optimizer": {}}, HERE / "nothing.pth")
    torch.save({"a": x, "b": Hostile()}, HERE / "hostile.pth")
    torch.save({"a": x, "b": Hostile()}, HERE / "hostile_legacy.pth", _use_new_zipfile_serialization=False)
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), HERE / "script.pt")
    (HERE / "plain.pkl").write_bytes(pickle.dumps({"a": [1, 2, 3]}, 2))
    torch.save({"a": torch.quantize_per_tensor(x, 0.1, 0, torch.qint8)}, HERE / "quantised.pth")
    torch.save({"a": torch.eye(3).to_sparse()}, HERE / "sparse.pth")


def make_big(source, target):
    """As a big-endian machine would have saved it: PyTorch 2.8 reads it back to the same numbers."""
    import zipfile

    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("/byteorder"):
                data = b"big"
            elif "/data/" in name:
                width = len(data) // 6
                data = b"".join(data[i : i + width][::-1] for i in range(0, len(data), width))
            new.writestr(name, data)
    before, after = torch.load(source), torch.load(target)
    assert all(torch.equal(before[k], after[k]) for k in before)


class Hostile:
    def __reduce__(self):
        return os.system, ("touch /tmp/hostile",)


if __name__ == "__main__":
    main()
