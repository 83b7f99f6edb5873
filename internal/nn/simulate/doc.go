// Package simulate computes a folded network layer by layer, in float32, and rounds weights and values as a scheme says
// (package nn/quantise): what arithmetic on bytes gives, but for the last bits of sums. So the effect of a scheme is
// measured before it is used, on any machine, and for runtimes that round more than this program does.
//
// # Terms
//
//   - A [Simulation] is a network prepared for it.
//   - A calibration finds the ranges of values on examples, by a [Method].
//   - A bias correction takes out what rounding changes in the mean of a channel (Nagel et al. 2019, arXiv:1906.04721, 4.2).
//   - The sensitivity of a layer is how far the network's output moves if that layer alone computes with bytes: the mean
//     Kullback-Leibler divergence of probabilities, or the mean squared difference of numbers in units of their variance.
package simulate
