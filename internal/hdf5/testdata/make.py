"""Makes the small files that the tests read. Needs h5py (made with 3.16) and NumPy.

old.h5 is as h5py writes by default, new.h5 in the newest form; both hold the same. small_old.h5 and small_new.h5 a little of it;
refused_*.h5 hold what is not read.
"""

import pathlib

import h5py
import numpy as np

HERE = pathlib.Path(__file__).parent


def fill(f):
    count = np.arange(60, dtype=np.float32).reshape(5, 12)
    f["numbers/F32"] = count
    f["numbers/F64"] = count.astype(np.float64)
    f["numbers/F16"] = count.astype(np.float16)
    f["numbers/big"] = count.astype(">f4")
    f["numbers/big64"] = count.astype(">f8")
    f["numbers/scalar"] = np.float32(7)
    f["numbers/empty"] = np.zeros((0, 3), np.float32)
    f["numbers/I64"] = count.astype(np.int64)
    f["numbers/U8"] = count.astype(np.uint8)
    f["numbers/BOOL"] = count > 3
    f["numbers/text"] = "no numbers"
    space = h5py.h5s.create_simple((5, 12))
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.COMPACT)
    compact = h5py.h5d.create(f["numbers"].id, b"compact", h5py.h5t.IEEE_F32LE, space, plist)
    h5py.Dataset(compact)[...] = count

    g = f.create_group("chunks")
    g.create_dataset("plain", data=count, chunks=(2, 5))
    g.create_dataset("one", data=count, chunks=(5, 12))
    g.create_dataset("one packed", data=count, chunks=(5, 12), compression="gzip")
    g.create_dataset("larger", data=count, chunks=(8, 16), maxshape=(8, 16), compression="gzip")
    g.create_dataset("gzip", data=count, chunks=(2, 5), compression="gzip")
    g.create_dataset("all", data=count, chunks=(2, 5), compression="gzip", shuffle=True, fletcher32=True)
    g.create_dataset("checked", data=count, chunks=(2, 5), fletcher32=True)
    g.create_dataset("line", data=count.reshape(60), chunks=(7,), compression="gzip", shuffle=True)
    g.create_dataset("cube", data=count.reshape(3, 4, 5), chunks=(2, 3, 2), shuffle=True)
    early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    early.set_chunk((2, 5))
    early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    h5py.Dataset(h5py.h5d.create(g.id, b"early", h5py.h5t.IEEE_F32LE, space, early))[...] = count

    many = f.create_group("many")
    for i in range(40):
        many[f"child {i}"] = f["numbers/F32"]
    ordered = f.create_group("ordered", track_order=True)
    for name in ("b", "a", "c"):
        ordered[name] = f["numbers/F32"]

    texts = f.create_group("texts")
    texts.attrs["one"] = "a text of variable length: é"
    texts.attrs["fixed"] = np.bytes_("fixed")
    texts.attrs["list"] = [b"first", b"the second", b""]
    texts.attrs["variable list"] = ["first", "the second", ""]
    texts.attrs["none"] = np.array([], dtype="S4")
    texts.attrs["number"] = 3
    for i in range(12):
        texts.attrs[f"attribute {i}"] = f"text {i}"
    texts.attrs["long"] = np.array([f"layer {i}".encode() for i in range(500)])

    f["links"] = h5py.SoftLink("/numbers")
    f["outside"] = h5py.ExternalLink("other.h5", "/")
    f["numbers/again"] = f["numbers/F32"]


def main():
    for name, libver, block in (("old", "earliest", 0), ("new", "latest", 0), ("block", "earliest", 1024)):
        with h5py.File(HERE / f"{name}.h5", "w", libver=libver, userblock_size=block) as f:
            if name == "block":
                f["numbers/F32"] = np.arange(60, dtype=np.float32).reshape(5, 12)
            else:
                fill(f)
    with h5py.File(HERE / "new.h5", "a", libver="latest") as f:
        # Chunks enough for a fixed array in pages, and for a text that no block of a heap takes.
        f.create_dataset("chunks/pages", data=np.arange(1100, dtype=np.float32), chunks=(1,))
        f["texts"].attrs["huge"] = np.array([b"x" * 60, b"y" * 10] * 100)
    # A little of all, for fuzzing to begin with.
    for name, libver in (("small_old", "earliest"), ("small_new", "latest")):
        with h5py.File(HERE / f"{name}.h5", "w", libver=libver) as f:
            x = np.arange(6, dtype=np.float32).reshape(2, 3)
            f["x"] = x
            f.create_dataset("y", data=x, chunks=(1, 2), compression="gzip", shuffle=True, fletcher32=True)
            for i in range(9):
                f[f"link {i}"] = f["x"]
                f.attrs[f"attribute {i}"] = "text" * i
            f.attrs["name"] = np.array([b"first", b"second"])
    with h5py.File(HERE / "cycle.h5", "w") as f:
        f["a/b"] = np.arange(3, dtype=np.float32)
        f["a/up"] = f["/"]
        f["c"] = f["a"]
    with h5py.File(HERE / "refused_lzf.h5", "w") as f:
        f.create_dataset("x", data=np.arange(60, dtype=np.float32), chunks=(30,), compression="lzf")
    with h5py.File(HERE / "refused_growing.h5", "w", libver="latest") as f:
        f.create_dataset("x", data=np.arange(60, dtype=np.float32), chunks=(30,), maxshape=(None,))
    with h5py.File(HERE / "refused_unwritten.h5", "w") as f:
        f.create_dataset("x", (4,), np.float32)
    with h5py.File(HERE / "refused_sequences.h5", "w") as f:
        f.create_dataset("x", (1,), h5py.vlen_dtype(np.float32))


if __name__ == "__main__":
    main()
