// Package predict names what a model tells of files of pictures and texts: classes with their probabilities, or numbers.
// Package inference runs the model.
package predict
