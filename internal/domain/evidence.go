package domain

// Evidence is what a validator may look at: what a model says of rows of both domains. No label of the target is in it.
type Evidence struct {
	Classes int // that the model tells apart

	// Of the source's validation rows.
	SourceProbabilities []float32 // [rows][Classes]
	SourceClasses       []int     // the truth, from 0
	SourceFeatures      Features  // that the model's last layer takes; no values if it has none

	// Of the source's training rows, for estimates of how the domains' densities compare.
	TrainingFeatures Features

	// Of the target's rows of split train.
	TargetProbabilities []float32 // [rows][Classes]
	TargetFeatures      Features
}

// Score is what a validator says of a model.
type Score struct {
	Validator string  // its word, such as "im"
	Value     float64 // not a number if it cannot tell
	Higher    bool    // models with higher values are better
	Note      string  // why it cannot tell, or should not be believed; "" otherwise
}

// Goodness is the value, turned so that more is better.
func (s Score) Goodness() float64 {
	if s.Higher {
		return s.Value
	}
	return -s.Value
}
