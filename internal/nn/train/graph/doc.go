// Package graph builds Gorgonia graphs from this project's kernels: each trainable
// layer is one Gorgonia op with its gradient, computed by package kernel.
//
// # Terms
//
//   - A [Graph] is one Gorgonia graph for one batch size, and its execution plan.
//   - An operation is the one type of Gorgonia op of this package: a forward function, and a
//     function that adds the nodes of its gradient. A file holds one layer: its operation and the
//     operations of its gradient. A new layer is a new file with a method on Graph.
//   - A node is trainable if it depends on a trainable parameter; gradients are computed for such
//     nodes only, so that no time is spent on the input or on frozen layers.
//   - A plan is the order in which the operations are run, and the position of each value in the arena,
//     the memory of all values, from the operation that produces it to the last that reads it.
//   - A [Scratch] is the arena and the kernels' workspace. Graphs that run one after another share
//     it.
//
// Values are dense float32 tensors with the batch as first dimension, maps in the layout NHWC.
//
// Gorgonia holds the graph and differentiates it. It is executed here and not by Gorgonia's tape machine,
// which allocates separate memory for each value. Here, values that are not live at the same time share
// memory, operations that can do so overwrite an input that is not read later, and values that are cheap to
// recompute, such as a batch-norm with its ReLU, are freed after the last layer that reads them and
// recomputed for the gradients (Chen et al., arXiv:1604.06174). The results are bit for bit the same.
//
// Gorgonia's own ops are not used here, so no process-wide setting with gorgonia.Use is needed.
// Gorgonia's constants and its Grad are not used either: they share nodes between graphs, which
// graphs built concurrently must not do.
package graph
