// Package prefix computes and caches the activations of frozen layers.
//
//   - The prefix of a phase is the part of the network below the lowest trained layer, up to a layer
//     that every path goes through: its cut.
//   - Its output, the activations, is computed once for each row and cached chunk by
//     chunk; every epoch starts from there.
//   - A [Budget] limits the size of the activations of all phases.
package prefix
