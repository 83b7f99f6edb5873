// Package predict names what a model tells of picture files: classes with their probabilities, or numbers.
// Package inference runs the model.
package predict
