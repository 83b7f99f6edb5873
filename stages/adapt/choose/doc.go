// Package choose is the stage that chooses between models that the stage adapt made, such as those of a matrix, by a validator
// and without labels of the target.
package choose
