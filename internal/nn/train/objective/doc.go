// Package objective has what training minimises: losses of a network's outputs against targets.
//
//   - An [Objective] says which outputs of a network and which targets of a batch it reads, adds its loss to
//     a training graph, and evaluates outputs of a network without training, such as on validation
//     rows. Each is in a separate file; [Objectives] lists them.
//   - A target is a tensor of a batch that outputs are compared with: class indices, a binary value for each
//     of several classes, or numbers.
//   - A [Loss] is an objective in a graph, for batches of one size. Its mass is what its sum over the
//     examples is divided by, such as the sum of the examples' weights: batches whose gradients are accumulated
//     are divided by the mass of all of them.
//   - A measure is a number that is reported with the loss but not optimised, such as accuracy.
//   - [Sum] adds up objectives, each with a weight that may change from step to step.
//
// In training the loss may have smoothed labels, weighted classes and mixed examples; an evaluation has the
// plain loss, so that validation losses can be compared between trainings.
package objective
