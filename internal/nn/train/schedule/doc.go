// Package schedule says how fast to learn, and when to stop.
//
// # Words
//
//   - A [Schedule] gives a factor on the learning rate for each step. What it makes of the epochs
//     that are over is its state, which goes into checkpoints.
//   - A metric is a number of an epoch, such as the validation loss; its [Direction] says which
//     way is better.
//   - [Plateau] and [Stopping] wait: they count epochs without improvement, and act when their
//     patience ends, as Keras' callbacks of the same purpose do.
package schedule
