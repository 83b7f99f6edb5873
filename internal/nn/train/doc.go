// Package train trains a network on examples.
//
// # Terms
//
//   - [Examples] are rows that can be fetched in any order, some at a time as a [Batch] of named tensors,
//     inputs and targets: a [Table] in memory, or images that are decoded on demand.
//   - A [Trainer] holds a network in training: its weights, the state of its optimizer, schedule and early
//     stopping, the best weights so far, and the history. An epoch is one pass over the
//     examples, or those selected by a [Sample], in a random order. A step of the optimizer uses
//     a batch, or several whose gradients are accumulated.
//   - A checkpoint is all of that as bytes, after an epoch or any step. A trainer restored from one
//     continues exactly as the original would have: the same weights, bit for bit.
//   - An objective (package objective) is what training minimises: a loss of the outputs against the targets,
//     with measures to report. The validation loss is the plain one, as an evaluation reports it.
//
// Any network of package nn can be trained: a head on features, a convolutional network on maps, or its
// upper part alone, with the rest frozen. The part below all trained layers is run by package frozen.
//
// The training graph is Gorgonia's, built by package graph; validation runs the network as package
// frozen compiles it, so that models are selected by the results they will give in use. All randomness
// (order, mixing, dropout) is derived from the seed, the epoch, the step and the layer's name. Results do not
// depend on the number of threads.
package train
