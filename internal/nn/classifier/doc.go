// Package classifier is the one place where a trained classifier becomes a model artifact and is
// made of one again.
//
// A [Classifier] is a network that ends in a softmax over named classes, with its weights and with
// the metadata that tells what goes into it. Stages that train write [Classifier.Model]; what
// predicts or evaluates reads with [Read] or [Parse] and runs the program of [Classifier.Compile].
package classifier
