// Package hdf5 reads what h5py and Keras write in the HDF5 format: groups, texts in attributes, and
// datasets of numbers; and writes the same, in its plainest form.
//
// # Terms
//
//   - An [Object] is a group or a dataset. It is told by the messages of its header: what its links
//     are, its attributes, the type and shape of its numbers and where they are.
//   - A link gives an object a name in a group. Only hard links are followed, which lead to an
//     address in the file.
//   - An address counts from the superblock, with which the file begins.
//
// Read are superblocks of version 0 to 3; object headers of version 1 and 2; links in symbol tables, in
// the header and in fractal heaps; attributes of fixed and variable length; datasets that are compact,
// contiguous or chunked, chunks found by a B-tree, a fixed array or alone, and packed with deflate,
// shuffle or fletcher32. What else there is in the format is refused by name.
//
// Nothing in a file is trusted: every read is within the file, and each entry of a table is counted
// against the number that a file of its size can hold, so that structures that lead back to
// themselves come to an end.
//
// The format is that of the HDF5 File Format Specification, version 3.0, of The HDF Group.
package hdf5
