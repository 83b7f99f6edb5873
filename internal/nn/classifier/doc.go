// Package classifier converts trained models to model artifacts and back.
//
// A [Classifier] is a network whose outputs are probabilities of named classes, or numbers, with its weights
// and a [record.Description] of how its input is made, what its output means, and where it
// comes from. Stages that train write [Classifier.Model]; users of a model read it with [Read], [ReadFile]
// or [Parse], and package inference runs it. For models stored without a description, one is derived
// from their metadata.
package classifier
