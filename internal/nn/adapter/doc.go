// Package adapter puts small layers that learn into a network whose own layers stay frozen.
//
// # Words
//
//   - An adapter is a few layers put at one place of a network. At first it changes nothing: the
//     adapted network gives the outputs of the one it was made of.
//   - A [Bottleneck] is an adapter after a layer: its output, narrowed by a 1×1 convolution, an
//     activation and widened again, is added to it (Houlsby et al., arXiv:1902.00751; for
//     convolutional networks Rebuffi et al., arXiv:1705.08045).
//   - A [LowRank] adapter stands beside a convolution or dense layer: a narrow one with the same
//     window and a 1×1 one after it are added to what it gives, a change of its weights of low rank
//     (Hu et al., arXiv:2106.09685). [Merge] makes it one: the network then has its old layers, with
//     other weights, and costs what it cost before.
//
// The layers of an adapter lie in the scope "adapter" of the layer they adapt: "block1.add" has
// "block1.add.adapter.down". [Added] tells them from the others.
//
// All functions are pure: networks and weights given are left alone. Weights that stay are shared
// with those given.
package adapter
