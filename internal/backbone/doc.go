// Package backbone is the zoo: the architectures whose features tlpipe can extract, one file each,
// and the weights they come with.
//
// # Terms
//
//   - A [Backbone] is an entry of the zoo: an architecture, how to build it, and its weight sets.
//   - A variant is an architecture as one framework builds it. They differ in strides, padding, biases
//     and epsilons, not in the names of layers here. [Backbone.As] returns the backbone in another one.
//   - A [WeightSet] is one training of it, with all that using it takes: how pixels must be
//     prepared, which variant it is for, where it is from, its licence and published accuracy.
//   - The trunk is a backbone without its classifier. Its pooled layer is the feature vector; its
//     last map is what is pooled.
//   - A naming says what a file calls each layer of a network, and how it lays out the tensors. A file
//     is recognised by the naming, and with it the variant, that most of its tensors' names fit.
//
// To add an architecture: a file that builds it as the paper's table reads, a line in [All], and a
// test that holds each variant against the outputs and sizes of the framework's own network.
package backbone
