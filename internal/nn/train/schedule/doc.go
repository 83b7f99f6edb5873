// Package schedule has learning-rate schedules and early stopping.
//
// # Terms
//
//   - A [Schedule] gives a factor on the learning rate for each step. What it keeps from completed
//     epochs is its state, which is part of checkpoints.
//   - A metric is a number of an epoch, such as the validation loss; its [Direction] says which
//     way is better.
//   - [Plateau] and [Stopping] count epochs without improvement, and act when these exceed their
//     patience, like the corresponding Keras callbacks.
package schedule
