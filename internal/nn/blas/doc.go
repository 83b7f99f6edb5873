// Package blas lets Gorgonia's own ops, and those of its tensors, multiply float32 matrices with this
// project's kernels:
//
//	gorgonia.Use(blas.New())
//
// The networks of package train do not need it: their ops call the kernels themselves.
package blas
