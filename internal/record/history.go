package record

// TrainingEpoch is one epoch of a training: a row of a history table. What was
// not measured is null.
type TrainingEpoch struct {
	Phase              string  `column:"phase"`    // the name of its phase
	Epoch              int32   `column:"epoch"`    // from 1, counted through all phases
	Loss               float64 `column:"loss"`     // mean over the epoch's batches as they were trained on, nats
	ValidationLoss     float64 `column:"val_loss"` // of the weights at its end, nats
	Accuracy           float64 `column:"accuracy"` // as Loss, 0…1
	ValidationAccuracy float64 `column:"val_accuracy"`
	LearningRate       float64 `column:"learning_rate"` // at its first step, of the layers that learn fastest
	Kept               bool    `column:"kept"`          // its phase went on with the weights of this epoch, the last phase's are the model's
}

// PhaseLayers is what a phase of a training did with some of the layers: a row
// of a phases table. Rows come in the order of the phases and, within a phase,
// of the layers from the input up. All that concerns the phase as a whole
// stands in each of its rows.
type PhaseLayers struct {
	Phase  string `column:"phase"`  // its name
	Number int32  `column:"number"` // of the phase, from 1

	Layers     string  `column:"layers"`     // the scope: "stem", "layer4", "head"
	Depth      int32   `column:"depth"`      // of the scope, from 0 at the input
	Parameters int64   `column:"parameters"` // numbers in the scope's weights, statistics of norms included
	Trained    int64   `column:"trained"`    // how many of them this phase trained; 0: frozen
	Rate       float64 `column:"rate"`       // learning rate of its first layer, before the schedule; null if frozen
	BatchNorm  string  `column:"batch_norm"` // "frozen", "train", or "" for a scope without norms
	Before     string  `column:"before"`     // hexadecimal SHA-256 of the scope's weights before the phase
	After      string  `column:"after"`      // and after it: the same if it was frozen

	Epochs     int32  `column:"epochs"`      // trained
	KeptEpoch  int32  `column:"kept_epoch"`  // the epoch, in the phase from 1, whose weights went on
	Stopped    bool   `column:"stopped"`     // ended before the epochs asked for
	Rows       int64  `column:"rows"`        // training examples of an epoch
	Prefix     string `column:"prefix"`      // the layer whose cached activations every epoch started from; "": from the pixels
	PrefixRows int64  `column:"prefix_rows"` // activations that were cached: pictures and copies, validation included
	PrefixType string `column:"prefix_type"` // "bfloat16" or "float32"; "" without a prefix
	PrefixSize int64  `column:"prefix_size"` // bytes that they take
	Why        string `column:"why"`         // how the prefix was chosen, for people
}

// ByPhase cuts the rows of a phases table where a phase ends.
func ByPhase(rows []PhaseLayers) [][]PhaseLayers {
	var out [][]PhaseLayers
	for i, row := range rows {
		if i == 0 || row.Number != rows[i-1].Number {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], row)
	}
	return out
}

// RateTrial is a step of a learning-rate range test.
type RateTrial struct {
	Rate     float64 `column:"learning_rate"`
	Loss     float64 `column:"loss"`     // of the batch, before the step
	Smoothed float64 `column:"smoothed"` // mean over the losses so far
	Chosen   bool    `column:"chosen"`   // at most one is
}

// PenaltyTrial is a fit of the path of penalties of logistic regression.
type PenaltyTrial struct {
	Penalty    float64 `column:"penalty"`  // weighs the squared weights against the sum of the losses
	Loss       float64 `column:"loss"`     // mean log loss on the rows that it was judged by; null if none judged
	Accuracy   float64 `column:"accuracy"` // on these, 0…1
	Iterations int64   `column:"iterations"`
	Chosen     bool    `column:"chosen"` // one is
}

// EpochMeasure is a measure of an epoch of a training, in training and on the validation rows.
type EpochMeasure struct {
	Phase        string  `column:"phase"`
	Epoch        int32   `column:"epoch"` // from 1, counted through all phases
	Measure      string  `column:"measure"`
	Training     float64 `column:"training"`      // mean over the epoch's batches; null if it is not measured there
	Validation   float64 `column:"validation"`    // of the weights at its end; null likewise
	LearningRate float64 `column:"learning_rate"` // at its first step
}

// StepMeasure is a measure of some steps of a training that follow each other in an epoch: a mean over them.
type StepMeasure struct {
	Phase        string  `column:"phase"`
	Epoch        int32   `column:"epoch"` // from 1, counted through all phases
	Step         int64   `column:"step"`  // the last of them, from 1, counted through all phases
	Measure      string  `column:"measure"`
	Value        float64 `column:"value"`
	Weight       float64 `column:"weight"`        // of the term of the loss that this is the loss of; null for other measures
	LearningRate float64 `column:"learning_rate"` // at the last of them
	Reversal     float64 `column:"reversal"`      // factor on the lambda of gradient reversals, likewise
}

// Diagnostic is a measure of how well a transfer went: a row of a diagnostics table.
// What was not measured is null.
type Diagnostic struct {
	Phase string  `column:"phase"`      // after which phase; "" for the whole training
	Name  string  `column:"diagnostic"` // one of the names below
	Value float64 `column:"value"`
	Low   float64 `column:"low"` // 95 % interval; null if there is none
	High  float64 `column:"high"`
	Rows  int64   `column:"rows"` // that it was measured on
	Alarm bool    `column:"alarm"`
	Text  string  `column:"text"` // what it means, for people
}

// Diagnostics of a transfer.
const (
	// OverfittingGap is how much more accurate the network was on the training
	// rows, as they were trained on in the epoch that the phase kept, than on
	// the validation rows after it, −1…1.
	OverfittingGap = "overfitting_gap"
	// FeatureDrift is 1 − CKA of the pooled features of the validation rows
	// before the training and after, 0…1: how much of what the backbone could
	// tell apart has changed.
	FeatureDrift = "feature_drift"
	// ChosenRate is the learning rate that a range test chose for a phase.
	ChosenRate = "learning_rate"
	// StartAccuracy is the accuracy of the logistic regression that a head
	// starts from, 0…1, on the rows that chose its penalty.
	StartAccuracy = "start_accuracy"
	// SourceAccuracyBefore and SourceAccuracyAfter are the accuracies on the
	// source task of the backbone's own classifier, on its features as they
	// were and as they have become, 0…1; Forgetting is their difference.
	SourceAccuracyBefore = "source_accuracy_before"
	SourceAccuracyAfter  = "source_accuracy_after"
	Forgetting           = "forgetting"
	// SourceOnlyClasses and TargetOnlyClasses are how many classes one domain of an adaptation alone has.
	SourceOnlyClasses = "source_only_classes"
	TargetOnlyClasses = "target_only_classes"
	// AdaptationGain is the accuracy of the chosen model on the target's test rows less that of direct, −1…1: an alarm if
	// it is below 0 by the paired test, or if the validator prefers direct.
	AdaptationGain = "adaptation_gain"
	// ChoiceRegret is the accuracy on the target's test rows of the best that could have been chosen, the oracle, less that
	// of what was chosen, 0…1.
	ChoiceRegret = "choice_regret"
	// ValidatorCorrelation is Spearman's rank correlation of a validator with the accuracy on the target's test rows, over
	// all that could have been chosen, −1…1.
	ValidatorCorrelation = "validator_correlation"
)
