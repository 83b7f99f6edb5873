// Package prefix computes once what a training does not change.
//
//   - The prefix of a phase is the part of the network below the lowest layer that learns, up to a layer
//     that everything goes through: its cut.
//   - What it puts out, the activations, is computed once for each row, kept in the cache chunk by
//     chunk, and every epoch starts from there.
//   - A [Budget] bounds what the activations of all phases take.
package prefix
