// Package npy reads arrays of float32 from files in NumPy's format
// (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, versions 1 to 3).
//
// Nothing in a file is trusted: the shape is checked against the file's size before memory is taken.
package npy
