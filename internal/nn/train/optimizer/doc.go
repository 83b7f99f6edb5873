// Package optimizer changes parameters by their gradients.
//
// # Words
//
//   - A [Rule] is how a gradient becomes a change: [SGD], [Adam], [AdamW], [RMSProp]. The numbers
//     are those of PyTorch's optimisers of the same names, step by step.
//   - The rate is the learning rate, set before each step; a [Group] multiplies it for some of the
//     parameters and says how they decay.
//   - The [State] is what a rule remembers of earlier steps. With it, an optimizer goes on elsewhere as
//     if it had never stopped.
//
// An [Optimizer] is a [gorgonia.Solver]; its parameters must have names ([gorgonia.Namer]). Results do
// not depend on the number of threads.
package optimizer
