// Package optimizer updates parameters by their gradients.
//
// # Terms
//
//   - A [Rule] computes an update from a gradient: [SGD], [Adam], [AdamW], [RMSProp]. The results
//     equal those of PyTorch's optimisers of the same names, step by step.
//   - The rate is the learning rate, set before each step; a [Group] multiplies it for some of the
//     parameters and sets their weight decay.
//   - The [State] is what a rule keeps from earlier steps. With it, an optimizer can be resumed elsewhere
//     with the same results.
//
// An [Optimizer] is a [gorgonia.Solver]; its parameters must have names ([gorgonia.Namer]). Results do
// not depend on the number of threads.
package optimizer
