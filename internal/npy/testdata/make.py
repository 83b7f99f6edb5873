"""Writes arrays in NumPy's format: 0, 0.5, 1 ... in the ways that numpy.save has. Run it in its folder."""

import numpy as np

x = (np.arange(24, dtype=np.float32) / 2).reshape(2, 3, 4)
np.save("plain.npy", x)
np.save("big_endian.npy", x.astype(">f4"))
np.save("vector.npy", x.ravel())
np.save("float64.npy", x.astype(np.float64))
np.save("fortran.npy", np.asfortranarray(x))
np.save("structured.npy", np.zeros(3, dtype=[("a", "<f4"), ("b", "<i4")]))
with open("version2.npy", "wb") as f:
    np.lib.format.write_array(f, x, version=(2, 0))
