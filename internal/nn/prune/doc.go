// Package prune takes channels, or single weights, out of trained networks.
//
//   - A channel is one of the last axis of a layer's output. Channels are coupled if one cannot go without the other: the two that an
//     addition or a multiplication joins, those that a depthwise convolution, a batch-norm or an activation passes on. A [Channel] here is
//     such a set, with a [Member] for each layer that makes it.
//   - A [Space] are the channels that the same layers make: the stream of a stage of residual blocks, the channels of one
//     convolution. Concatenations join spaces side by side and keep them apart.
//   - A channel is fixed if it must stay: pictures, the outputs of the network, and what goes through an op that mixes channels in a way
//     that is not known here.
//
// [Couple] finds them from the network's definition alone, [Coupling.Choose] says which go, by scores, and [Coupling.Remove] makes the
// smaller network: what it gives is what the network gives if all that takes the channels takes 0 in their place.
package prune
