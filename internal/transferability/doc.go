// Package transferability scores how well the features of a pre-trained network suit a classification task, without training on it: to
// choose among backbones before any is fine-tuned.
//
// The scores rank the features of different networks for the same rows; they are no accuracy, and scores of different data sets cannot
// be compared.
package transferability
