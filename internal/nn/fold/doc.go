// Package fold makes a network that computes the same with fewer layers, as it is put to use: what only training needs is
// gone, and maps of channels by constants (a batch-norm with its statistics, a scale, an affine map) are folded into the
// weights and bias of the convolution or dense layer before them.
package fold
