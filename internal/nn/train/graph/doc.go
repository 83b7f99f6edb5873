// Package graph builds Gorgonia graphs out of this project's kernels: each layer that can be
// trained is one Gorgonia op with its gradient, computed by package kernel.
//
// # Words
//
//   - A [Graph] is one Gorgonia graph for one batch size, the tape machine that runs it, and the
//     threads and scratch memory its ops share.
//   - An operation is the one type of Gorgonia op of this package: a forward function, and a
//     function that adds the nodes of its gradient. A file holds one layer: its operation and the
//     operations of its gradient. A new layer is a new file with a method on Graph.
//   - A node learns when a trainable parameter lies below it; gradients are computed for such
//     nodes only, so that nothing is spent on the input or on what is frozen.
//
// Values are dense float32 tensors with the batch as first dimension, maps in the layout NHWC.
// Each operation owns the memory of its output, so that a run allocates nothing large.
//
// Gorgonia holds the graph, differentiates it and runs it; its own ops, and with them its BLAS, are
// used only to add up gradients that reach a node along several ways. So nothing has to be set for
// the whole process with gorgonia.Use. Gorgonia's own constants and its Grad are left alone: they
// share nodes between graphs, which graphs that are built side by side must not do.
package graph
