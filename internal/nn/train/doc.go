// Package train trains a network on examples.
//
// # Words
//
//   - [Examples] are rows that can be fetched in any order, some at a time as a [Batch] of named tensors,
//     inputs and targets: a [Table] in memory, or pictures that are decoded when they are asked for.
//   - A [Trainer] holds a network in training: its weights, what its optimizer, schedule and early
//     stopping remember, the best weights so far, and the history. An epoch is one pass over the
//     examples, or those that a [Sample] chooses, in an order of its own. A step of the optimizer takes
//     a batch, or several whose gradients are added up.
//   - A checkpoint is all of that as bytes, after an epoch or any step. A trainer restored from one
//     goes on as the first would have: the same weights, bit for bit.
//   - An objective (package objective) is what is made smaller: a loss of the outputs against the targets,
//     with measures to report. The validation loss is the plain one, as an evaluation reports it.
//
// Any network of package nn can be trained: a head on features, a convolutional network on maps, or its
// upper part alone, with the rest frozen. What lies below everything that learns is run by package frozen.
//
// The training graph is Gorgonia's, built by package graph; validation runs the network as package
// frozen compiles it, so that what is selected is what will be used. All that is random (order,
// mixing, dropout) follows from the seed, the epoch, the step and the layer's name. Results do not
// depend on the number of threads.
package train
