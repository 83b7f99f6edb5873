// Package backbone is the zoo: the architectures whose features tlpipe can extract, one file each,
// and the weights they come with.
//
// # Words
//
//   - A [Backbone] is an entry of the zoo: an architecture, how to build it, and its weight sets.
//   - A [WeightSet] is one training of it, with all that using it takes: how pixels must be
//     prepared, what its tensors are called, where it is from, its licence and published accuracy.
//   - The trunk is a backbone without its classifier. Its pooled layer is the feature vector; its
//     last map is what is pooled.
//   - A naming says what a file calls each layer of a network, and how it lays out the tensors.
//
// To add an architecture: a file that builds it as the paper's table reads, a line in [All], and a
// test that holds it against the reference implementation's numbers.
package backbone
