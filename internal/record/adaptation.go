package record

// LossTerm is a term of the loss in a step of an adaptation, or in its mean over an epoch: a row of the history of
// stage adapt.
type LossTerm struct {
	Candidate    string  `column:"candidate"`     // which training, such as "dann, learning rate 0.001"
	Epoch        int32   `column:"epoch"`         // from 1
	Step         int64   `column:"step"`          // from 1, through all epochs; 0 for the mean over an epoch
	Term         string  `column:"term"`          // such as "class", "domain", "mmd"; "total" for the sum
	Loss         float64 `column:"loss"`          // before its weight
	Weight       float64 `column:"weight"`        // in the sum
	Accuracy     float64 `column:"accuracy"`      // of what the term classifies, 0…1; null for others
	LearningRate float64 `column:"learning_rate"` // at that step, of the layers that learn fastest
	Reversal     float64 `column:"reversal"`      // λ of the gradient reversal; null without one
}

// ShiftMeasure is how far source and target lie apart, by one measure: a row of a shift table.
type ShiftMeasure struct {
	When    string  `column:"when"`    // ShiftBefore or ShiftAfter: of the features as they come in, or of those that the model classifies by
	Measure string  `column:"measure"` // such as "a_distance"
	Of      string  `column:"of"`      // which class, colour or the like; "" for all rows
	Value   float64 `column:"value"`
	Low     float64 `column:"low"` // 95 % interval; null if there is none
	High    float64 `column:"high"`
	P       float64 `column:"p"`    // of the test that there is no shift; null if there is none
	Rows    int64   `column:"rows"` // that it was measured on, of both domains
	Alarm   bool    `column:"alarm"`
	Text    string  `column:"text"` // what it means, for people
}

// When a shift is measured.
const (
	ShiftBefore = "before"
	ShiftAfter  = "after"
)

// AdaptationTrial is a model that could have been chosen: a row of a selection table. The validators see no label of the
// target.
type AdaptationTrial struct {
	Candidate    string  `column:"candidate"`
	Method       string  `column:"method"`
	LearningRate float64 `column:"learning_rate"` // null for methods in closed form
	Epoch        int32   `column:"epoch"`         // 0 for methods in closed form
	Labels       int64   `column:"labels"`        // of target rows that it learned from

	// Validators; null if one cannot tell.
	SourceAccuracy float64 `column:"source_accuracy"` // on the source's validation rows, 0…1
	IM             float64 `column:"im"`              // information maximisation
	BNM            float64 `column:"bnm"`             // batch nuclear-norm
	SND            float64 `column:"snd"`             // soft neighbourhood density
	DEV            float64 `column:"dev"`             // deep embedded validation; lower is better
	Ensemble       float64 `column:"ensemble"`        // mean rank among the trials by the others, from 1, lower is better

	Best   bool `column:"best"`   // of its candidate, by the validator in use
	Chosen bool `column:"chosen"` // one is: the model of the stage

	// Oracle is the accuracy on the target's test rows. It is measured with their labels, after the choice and with no
	// influence on it; null where there are none.
	Oracle     float64 `column:"oracle_accuracy"`
	OracleLow  float64 `column:"oracle_low"` // 95 % interval
	OracleHigh float64 `column:"oracle_high"`
	OracleRows int64   `column:"oracle_rows"`
	// P is that of the paired test against direct on the same rows; null for direct itself and without labels.
	P      float64 `column:"p"`
	Gained int64   `column:"gained"` // rows that it has right and direct wrong
	Lost   int64   `column:"lost"`
}

// MapPoint is a row of source or target as a point of a plane: a row of a maps table.
type MapPoint struct {
	When   string  `column:"when"`   // ShiftBefore or ShiftAfter
	Method string  `column:"method"` // pca or tsne
	ID     string  `column:"id"`
	Domain string  `column:"domain"`
	Source bool    `column:"source"` // of the source, or of the target
	Class  string  `column:"class"`  // "" if it is not known; of target rows, for people alone
	X      float64 `column:"x"`
	Y      float64 `column:"y"`
}

// AdaptationChange is a test row of the target that direct and the chosen model answer differently, one of them rightly.
type AdaptationChange struct {
	ID           string  `column:"id"`
	Domain       string  `column:"domain"`
	Label        string  `column:"label"`
	Direct       string  `column:"direct"`            // what direct answers
	DirectShare  float64 `column:"direct_confidence"` // its probability
	Adapted      string  `column:"adapted"`           // what the chosen model answers
	AdaptedShare float64 `column:"adapted_confidence"`
}
