// Package matfile reads matrices of numbers from MATLAB's MAT-files of version 5 (as `save -v6` and `save -v7` write them), compressed or not.
//
// The terms:
//
//   - An element is a tag, which says of what type and how long it is, and data. Matrices are elements of elements.
//   - A [Variable] is a matrix by its name: real numbers of two dimensions, dense. Cells, structures, texts, sparse and complex matrices and
//     those of more dimensions are known by name and shape, and cannot be read.
//
// Files of version 7.3 are HDF5 and are refused with a hint. Nothing in a file is trusted: what is unpacked and held is taken from a budget.
//
// The format is that of "MAT-File Format", The MathWorks, 2024, chapter 1.
package matfile
