// Package adapter inserts small trainable layers into a network whose own layers stay frozen.
//
// # Terms
//
//   - An adapter is a few layers inserted at one place of a network. Initially it has no effect: the
//     adapted network has the same outputs as the original one.
//   - A [Bottleneck] is an adapter after a layer: its output, narrowed by a 1×1 convolution, an
//     activation and widened again, is added to it (Houlsby et al., arXiv:1902.00751; for
//     convolutional networks Rebuffi et al., arXiv:1705.08045).
//   - A [LowRank] adapter is parallel to a convolution or dense layer: the output of a narrow layer with
//     the same window, followed by a 1×1 one, is added to its output, a low-rank change of its weights
//     (Hu et al., arXiv:2106.09685). [Merge] folds it into the weights, as every use of a stored model does: the network then has its original
//     layers, with other weights, at the original cost.
//
// The layers of an adapter are in the scope "adapter" of the layer they adapt: "block1.add" has
// "block1.add.adapter.down". [Added] identifies them.
//
// All functions are pure: they do not change the networks and weights passed to them. Unchanged weights
// are shared with the input.
package adapter
