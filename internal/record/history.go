package record

// TrainingEpoch is one epoch of a training: a row of a history table. What was
// not measured is null.
type TrainingEpoch struct {
	Epoch              int32   `column:"epoch"`    // from 1
	Loss               float64 `column:"loss"`     // mean over the epoch's batches as they were trained on, nats
	ValidationLoss     float64 `column:"val_loss"` // of the weights at its end, nats
	Accuracy           float64 `column:"accuracy"` // as Loss, 0…1
	ValidationAccuracy float64 `column:"val_accuracy"`
	LearningRate       float64 `column:"learning_rate"` // at its first step
	Kept               bool    `column:"kept"`          // the model has the weights of this epoch
}
