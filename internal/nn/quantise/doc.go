// Package quantise tells how a folded network (package nn/fold) computes with bytes: which numbers are rounded to which
// steps. What computes with them, and formats of files that hold them, follow it.
//
// # Terms
//
//   - A weight is symmetric, −127 … 127 steps of a size for each output channel (the first axis), so that zero is one of
//     them and no correction for the weights' zero point is needed (Krishnamoorthi 2018, arXiv:1806.08342, 3.1; TensorFlow
//     Lite's 8-bit quantisation specification).
//   - A value, the output of a layer, is asymmetric, with one size of steps for the whole tensor: −128 … 127, of which
//     [Steps.Zero] stands for 0.
//   - A [Range] is where the numbers of a value lie. It contains 0, and is divided into 255 steps.
//   - A [Scheme] says for each layer whether it computes with bytes, and has the range of each value that rests as bytes.
//   - An activation that only bounds (ReLU, ReLU6) is one with the convolution, dense layer or sum that it follows: between
//     them nothing is rounded.
//
// A sum of products is exact in 32 bits; the bias is added to it in steps of the input's size times the weight's.
package quantise
