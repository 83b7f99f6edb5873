package record

import (
	"encoding/json"
	"fmt"
	"math"
)

// EvaluationKey is the key of the schema metadata of metrics tables that
// tells how they were measured: an [Evaluation] as JSON.
const EvaluationKey = "tlpipe.evaluation"

// LogisticRegression is what the names of baselines begin with that are logistic regression on the features that models
// take, or that the backbones they started from make.
const LogisticRegression = "logistic regression"

// What the names of baselines say that learned from labels of the target, which models that a stage adapt made do without.
const (
	OnTargetLabels   = "trained on the target's own labels"
	WithTargetLabels = "trained with the target's labels" // where the source's rows may be in the same table
)

// Evaluation tells how models were measured.
type Evaluation struct {
	Split     string `json:"split"`     // the rows they were measured on
	Resamples int    `json:"resamples"` // of the bootstrap; 0: there are no intervals
	Cluster   string `json:"cluster"`   // column whose equal values were drawn together; "" for none

	Labels *LabelSearch `json:"labels,omitempty"` // of a table of label errors: how they were looked for; nil if they were not
}

// LabelSearch tells how likely label errors were looked for: by confident learning, on the answers of logistic regression that
// was not fitted to the row.
type LabelSearch struct {
	Rows     int     `json:"rows"`     // that were looked at, of all splits
	Folds    int     `json:"folds"`    // of the cross-validation
	Accuracy float64 `json:"accuracy"` // of its answers
	Features string  `json:"features"` // the node or the backbone that made the features
}

// Encode gives the text that stands in metadata.
func (e Evaluation) Encode() string {
	text, err := json.Marshal(e)
	if err != nil {
		panic(err) // plain values always marshal
	}
	return string(text)
}

// ParseEvaluation reads what Encode wrote.
func ParseEvaluation(text string) (Evaluation, error) {
	var e Evaluation
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return e, fmt.Errorf("read how models were measured: %w", err)
	}
	return e, nil
}

// Metric is one number about one model: a row of a metrics table.
type Metric struct {
	Model  string  `column:"model"`  // the node that made the model, or the baseline's name
	Role   string  `column:"role"`   // one of the roles below
	Slice  string  `column:"slice"`  // "" for all rows, otherwise "column=value"
	Metric string  `column:"metric"` // one of the names below
	Class  string  `column:"class"`  // "" for all classes together
	Value  float64 `column:"value"`  // null where it is not defined
	Low    float64 `column:"low"`    // 95 % interval; null if there is none
	High   float64 `column:"high"`
	Rows   int64   `column:"rows"` // rows it is the measure of
}

// What a line of a metrics table is about.
const (
	ModelRole    = "model"       // a trained model
	BaselineRole = "baseline"    // what a model has to beat to be worth its training
	BoundRole    = "upper bound" // a baseline that learned from labels which the models do without: none has to beat it
)

// IsBaseline tells whether a line with this role is about no trained model.
func IsBaseline(role string) bool { return role == BaselineRole || role == BoundRole }

// Names of metrics. Shares, scores and errors lie in 0…1 unless said.
const (
	Accuracy          = "accuracy"
	TopKAccuracy      = "top_%d_accuracy" // a format: the name holds k
	BalancedAccuracy  = "balanced_accuracy"
	MacroPrecision    = "macro_precision"
	MacroRecall       = "macro_recall"
	MacroF1           = "macro_f1"
	WeightedPrecision = "weighted_precision"
	WeightedRecall    = "weighted_recall"
	WeightedF1        = "weighted_f1"
	ROCAUC            = "roc_auc"           // with a class: of that class against the rest; without: their mean
	LogLoss           = "log_loss"          // nats, 0…
	Brier             = "brier"             // 0…2
	CalibrationError  = "calibration_error" // expected, over bins of confidence
	Precision         = "precision"         // of a class
	Recall            = "recall"            // of a class
	F1                = "f1"                // of a class
	MicroROCAUC       = "micro_roc_auc"     // of the answers of all rows to all classes together
	MicroAP           = "micro_average_precision"
	MacroAP           = "macro_average_precision"       // mean over the classes, of models that tell one class
	Kappa             = "cohen_kappa"                   // agreement with the truth beyond chance, up to 1
	QuadraticKappa    = "quadratic_kappa"               // likewise, of classes in an order
	SensitivityAt     = "sensitivity_at_%v_specificity" // a format: of a class; without: the mean
	Unlabelled        = "unlabelled"                    // number of rows that have no label and were not scored
	UnknownLabel      = "unknown_label"                 // number of rows, not scored, of a class that the model does not know
)

// Names of metrics of rows that any of several classes may apply to, where F1, precision, recall, roc_auc and
// log_loss are measured too, and of numbers.
const (
	MeanAveragePrecision = "mean_average_precision" // over the classes that apply to a row
	AveragePrecision     = "average_precision"      // of a class: the area under its curve of precision and recall
	MicroPrecision       = "micro_precision"        // of all answers, of all rows to all classes, together
	MicroRecall          = "micro_recall"
	MicroF1              = "micro_f1"
	SubsetAccuracy       = "subset_accuracy" // share of rows of which every class is right
	HammingLoss          = "hamming_loss"    // share of the answers that are wrong
	Threshold            = "threshold"       // the probability from which a class is taken to apply
	UnknownClasses       = "unknown_class"   // with a class: number of rows that it applies to and that a model does not know

	MeanAbsoluteError    = "mean_absolute_error"     // in the number's unit, 0…
	RootMeanSquaredError = "root_mean_squared_error" // likewise
	R2                   = "r2"                      // share of the variance that is explained, up to 1; without a class: the mean over the numbers
)

// Names of metrics of retrieval, where [MeanAveragePrecision] is over the queries.
const (
	RecallAt       = "recall_at_%d"         // a format: share of the queries with a relevant row among the first k
	MedianRank     = "median_rank"          // of the first relevant row, from 1
	ReciprocalRank = "mean_reciprocal_rank" // mean of 1/rank of the first relevant row
	NDCG           = "ndcg"                 // normalised discounted cumulative gain
	Hubness        = "hubness"              // skewness of how often rows are among the first
)

// Comparison is a paired test of two models on the rows that both were
// scored on: a row of a comparison table. Differences are A less B.
type Comparison struct {
	A          string  `column:"a"`
	B          string  `column:"b"`
	Metric     string  `column:"metric"` // Accuracy, SubsetAccuracy or MeanAbsoluteError
	Class      string  `column:"class"`  // the number that the errors are of; null if there is one, or of classes
	Rows       int64   `column:"rows"`
	ValueA     float64 `column:"value_a"` // of the metric
	ValueB     float64 `column:"value_b"`
	OnlyA      int64   `column:"only_a"` // rows that A has right and B wrong; of numbers, those to which A is closer
	OnlyB      int64   `column:"only_b"`
	Difference float64 `column:"difference"` // of the values
	Low        float64 `column:"low"`        // 95 % interval of the difference, by paired bootstrap
	High       float64 `column:"high"`
	P          float64 `column:"p"`          // of the exact McNemar test, two-sided; of numbers, the sign test, which is the same of OnlyA and OnlyB
	PAdjusted  float64 `column:"p_adjusted"` // by Holm, for the number of comparisons in the table
}

// TwinsSuffix ends the name of a model whose tasks were each trained by itself, after the name of the model that learned them
// together.
const TwinsSuffix = ".twins"

// Together is the comparison of a model that learned several tasks together, as A, with its twin that learned each alone, as B; ok
// is false if it is none.
func (c Comparison) Together() (_ Comparison, ok bool) {
	switch {
	case c.B == c.A+TwinsSuffix:
		return c, true
	case c.A == c.B+TwinsSuffix:
		c.A, c.B, c.ValueA, c.ValueB, c.OnlyA, c.OnlyB = c.B, c.A, c.ValueB, c.ValueA, c.OnlyB, c.OnlyA
		c.Difference, c.Low, c.High = -c.Difference, -c.High, -c.Low
		return c, true
	}
	return c, false
}

// Transfer is "positive" where A is shown to be better than B, "negative" where it is shown to be worse, and else "no difference
// shown".
func (c Comparison) Transfer() string {
	better := c.Difference
	if c.Metric == MeanAbsoluteError {
		better = -better
	}
	switch {
	case !c.Decided():
		return "no difference shown"
	case better > 0:
		return "positive"
	}
	return "negative"
}

// Decided tells whether a comparison shows a difference at the 5 % level: the
// test says so after adjustment, and the interval, if there is one, agrees.
func (c Comparison) Decided() bool {
	if math.IsNaN(c.Low) {
		return c.PAdjusted < 0.05
	}
	return c.PAdjusted < 0.05 && (c.Low > 0 || c.High < 0)
}

// Confusion counts the rows of class Actual that a model took for Predicted.
// Pairs that do not occur have no row.
type Confusion struct {
	Model     string `column:"model"`
	Actual    string `column:"actual"`
	Predicted string `column:"predicted"`
	Rows      int64  `column:"rows"`
}

// CalibrationBin compares the probability that a model gives its answers with
// how often they are right, for the answers whose probability lies above Low
// and up to High.
type CalibrationBin struct {
	Model        string  `column:"model"`
	Low          float64 `column:"low"`
	High         float64 `column:"high"`
	Rows         int64   `column:"rows"`
	Confidence   float64 `column:"confidence"` // mean; null for an empty bin
	Accuracy     float64 `column:"accuracy"`
	AccuracyLow  float64 `column:"accuracy_low"` // Wilson's 95 % interval
	AccuracyHigh float64 `column:"accuracy_high"`
}

// Mistake is a row that a model got wrong; the most confident come first.
type Mistake struct {
	Model       string  `column:"model"`
	Rank        int64   `column:"rank"` // from 1, within the model
	ID          string  `column:"id"`
	Label       string  `column:"label"`
	Predicted   string  `column:"predicted"`
	Confidence  float64 `column:"confidence"`  // the probability of Predicted
	Probability float64 `column:"probability"` // that of Label
}

// LabelError is a row whose label is probably wrong: a row of a table of label errors, the least probable labels first.
type LabelError struct {
	ID          string  `column:"id"`
	Split       string  `column:"split"`
	Label       string  `column:"label"`
	Suggested   string  `column:"suggested"`   // the most probable class
	Probability float64 `column:"probability"` // of Label
	Confidence  float64 `column:"confidence"`  // the probability of Suggested
}

// CurvePoint is a point of a curve of one model: a row of a table of curves. The points of a curve follow one another.
type CurvePoint struct {
	Model   string  `column:"model"`
	Curve   string  `column:"curve"`   // ROCCurve or PrecisionRecallCurve
	Average string  `column:"average"` // MicroAverage or MacroAverage of the classes; "" for the curve of one class against the rest
	Class   string  `column:"class"`   // "" for an average
	X       float64 `column:"x"`       // false-positive rate, or recall
	Y       float64 `column:"y"`       // true-positive rate, or precision
	Cutoff  float64 `column:"cutoff"`  // the probability from which a row counts as of the class; null where there is none
}

// The curves, and how they are averaged over the classes: all answers together, or the mean of the classes' curves.
const (
	ROCCurve             = "roc"
	PrecisionRecallCurve = "precision_recall"
	MicroAverage         = "micro"
	MacroAverage         = "macro"
)

// Duplicate is a row that was measured on and looks like a row of another split: a row of a table of duplicates, the likest first.
type Duplicate struct {
	ID         string `column:"id"`
	Label      string `column:"label"`
	Other      string `column:"other"` // the row that it looks like
	OtherLabel string `column:"other_label"`
	OtherSplit string `column:"other_split"`
	Distance   int64  `column:"distance"` // bits of the likenesses that differ, of 256
	Rows       int64  `column:"rows"`     // that were looked at
}

// headlineMetrics are those that a summary of a run holds.
func headlineMetrics() []string {
	return []string{
		Accuracy, BalancedAccuracy, MacroF1, ROCAUC, LogLoss, CalibrationError,
		MeanAveragePrecision, MicroF1, SubsetAccuracy, HammingLoss, MeanAbsoluteError, RootMeanSquaredError, R2,
		fmt.Sprintf(RecallAt, 1), MedianRank, ReciprocalRank,
	}
}

// Headline picks the metrics that sum up a run, over all rows and classes, as
// "model.metric", and the accuracy's interval as "model.accuracy_low" and
// "model.accuracy_high". Where a model was not scored on all rows with a label,
// "model.rows" and "model.labelled_rows" say on how many of how many.
func Headline(table []Metric) map[string]float64 {
	picked := map[string]float64{}
	for _, c := range Coverages(table) {
		if c.Scored < c.Labelled {
			picked[c.Model+".rows"], picked[c.Model+".labelled_rows"] = float64(c.Scored), float64(c.Labelled)
		}
	}
	for _, m := range table {
		if m.Slice != "" || m.Class != "" || math.IsNaN(m.Value) {
			continue
		}
		for _, name := range headlineMetrics() {
			if m.Metric == name {
				picked[m.Model+"."+name] = m.Value
			}
		}
		if m.Metric == Accuracy && !math.IsNaN(m.Low) {
			picked[m.Model+".accuracy_low"] = m.Low
			picked[m.Model+".accuracy_high"] = m.High
		}
	}
	return picked
}
