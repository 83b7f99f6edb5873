// Package evaluate computes TensorFlow Lite files by the definitions of their operators, to hold a file that was written
// against the model that it is of. It knows the operators that package emit writes. Quantised tensors are computed with as the
// numbers that they stand for, and rounded to their steps: the same as arithmetic on bytes, but for the last bits of sums.
package evaluate
