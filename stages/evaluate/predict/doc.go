// Package predict is the stage that lets a trained model answer rows, one by one: classes with their probabilities, or
// numbers. It is row-wise, so that a million pictures take bounded memory, are cached chunk by chunk, and cost nothing when
// they come again. What it answers is what `tlpipe predict` and the stage evaluate answer, to the bit.
//
// The model comes from a stage, or from a file that `tlpipe show --export` wrote. A model of features also takes pictures: the
// frozen backbone that made the features is found by the model's description.
package predict
