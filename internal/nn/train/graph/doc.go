// Package graph builds Gorgonia graphs out of this project's kernels: each layer that can be
// trained is one Gorgonia op with its gradient, computed by package kernel.
//
// # Words
//
//   - A [Graph] is one Gorgonia graph for one batch size, and the plan by which it is run.
//   - An operation is the one type of Gorgonia op of this package: a forward function, and a
//     function that adds the nodes of its gradient. A file holds one layer: its operation and the
//     operations of its gradient. A new layer is a new file with a method on Graph.
//   - A node learns when a trainable parameter lies below it; gradients are computed for such
//     nodes only, so that nothing is spent on the input or on what is frozen.
//   - A plan is the order in which the operations are run and where in the arena, the memory of all
//     values, each value lies from the operation that makes it to the last that reads it.
//   - A [Scratch] is the arena and the kernels' workspace. Graphs that run one after another share
//     it.
//
// Values are dense float32 tensors with the batch as first dimension, maps in the layout NHWC.
//
// Gorgonia holds the graph and differentiates it. It is run here and not by Gorgonia's tape machine,
// which gives each value memory of its own: values that are not in use at the same time share
// memory, operations that can write over an input which nobody reads later, and what is cheap to
// compute from what is kept anyway, such as a batch-norm with its rectifier, is given up after the
// last layer that reads it and computed again for the gradients (Chen et al., arXiv:1604.06174). That
// changes no bit of the results.
//
// Gorgonia's own ops are not used here, so nothing has to be set for the whole process with
// gorgonia.Use. Gorgonia's constants and its Grad are left alone: they share nodes between graphs, which
// graphs that are built side by side must not do.
package graph
