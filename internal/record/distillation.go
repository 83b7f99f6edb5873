package record

// DistillationCurve is an epoch of a student, or of the same student without its teachers: a row of a curves table. What was not
// measured is null.
type DistillationCurve struct {
	Student            string  `column:"student"` // one of the roles below
	Phase              string  `column:"phase"`
	Epoch              int32   `column:"epoch"`    // from 1, counted through all phases
	Loss               float64 `column:"loss"`     // that was trained: of a distilled student the weighted sum, nats
	ValidationLoss     float64 `column:"val_loss"` // cross-entropy with the labels, nats
	ValidationAccuracy float64 `column:"val_accuracy"`
	Kept               bool    `column:"kept"`
}

// Roles of networks.
const (
	RoleTeacher   = "teacher"
	RoleAlone     = "student alone"
	RoleDistilled = "distilled student"
	RoleUnpruned  = "before pruning"
	RolePruned    = "after pruning"

	RoleUnquantised = "before quantising"
	RoleQuantised   = "in " // with what weights rest as: "in int8"
)

// ModelSize is a network by its size and by how well it does on the validation rows: a row of a sizes table. What was not
// measured is null.
type ModelSize struct {
	Model         string  `column:"model"`
	Role          string  `column:"role"`
	Parameters    int64   `column:"parameters"`
	MultiplyAdds  int64   `column:"multiply_adds"` // of a picture
	Bytes         int64   `column:"bytes"`         // of the weights as they are stored
	Nonzero       int64   `column:"nonzero"`       // of the parameters that were trained
	Rows          int64   `column:"rows"`          // that the shares are of
	Accuracy      float64 `column:"accuracy"`      // 0…1, with its 95 % interval (Wilson)
	Low           float64 `column:"low"`
	High          float64 `column:"high"`
	Agreement     float64 `column:"agreement"` // share of the rows on which it has the teacher's class, with its interval
	AgreementLow  float64 `column:"agreement_low"`
	AgreementHigh float64 `column:"agreement_high"`
}

// SoftenedProbability is a probability that a network gives a class of a picture, with its logits divided by a temperature: a row of
// a softened table.
type SoftenedProbability struct {
	ID          string  `column:"id"`    // of the picture
	Label       string  `column:"truth"` // its class
	Role        string  `column:"role"`  // of the network
	Temperature float64 `column:"temperature"`
	Class       string  `column:"class"`
	Probability float64 `column:"probability"`
}

// PrunedSpace is what pruning left of the channels that some layers make: a row of a table of channels.
type PrunedSpace struct {
	Layers   string `column:"layers"`          // that make them, the first of them and how many more
	Before   int32  `column:"channels_before"` // in the network that was given
	Channels int32  `column:"channels"`        // that are left
}

// ModelBudget is a model beside what it may take at most: a row of a budget's sizes table. A limit of 0 is none.
type ModelBudget struct {
	Model            string  `column:"model"`
	Bytes            int64   `column:"bytes"` // of the weights as they are stored
	MostBytes        int64   `column:"most_bytes"`
	Parameters       int64   `column:"parameters"`
	MultiplyAdds     int64   `column:"multiply_adds"`     // of a picture
	MostMilliseconds float64 `column:"most_milliseconds"` // for a picture
}
