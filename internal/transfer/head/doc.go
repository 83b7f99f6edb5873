// Package head describes classifiers on features.
//
// A head is a small network from features to a probability for each class: some hidden layers, a
// dense layer that gives the logits, a softmax. In a network with a backbone its layers are in the
// scope "classifier".
package head
