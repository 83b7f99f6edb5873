// Package classifier is the one place where a trained classifier becomes a model artifact and is
// made of one again.
//
// A [Classifier] is a network that ends in probabilities of named classes or in numbers, with its weights
// and with the [record.Description] that tells how its input is made, what its output means, and where it
// comes from. Stages that train write [Classifier.Model]; what uses a model reads it with [Read], [ReadFile]
// or [Parse], and package inference runs it. Models that were stored without a description are described
// by what their metadata tells.
package classifier
