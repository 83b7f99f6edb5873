// Package eigen finds eigenvalues and eigenvectors of symmetric matrices in float64: all of them, or the largest. The result does
// not depend on the number of threads. Matrices are [n][n], row by row; eigenvectors are rows, of length 1.
package eigen
