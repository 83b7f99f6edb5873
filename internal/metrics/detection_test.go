package metrics_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/metrics"
)

// curvesReference is what testdata/make_curves.py wrote.
type curvesReference struct {
	Classes           int
	Truth             []int
	Probabilities     []float32
	Weights           []float64
	AveragePrecision  []float64 `json:"average_precision"`
	WeightedPrecision []float64 `json:"weighted_average_precision"`
	MicroAUC          float64   `json:"micro_auc"`
	MicroAP           float64   `json:"micro_average_precision"`
	ROC               [][][3]float64
	PrecisionRecall   [][][3]float64 `json:"precision_recall"`
	MacroROC          [][2]float64   `json:"macro_roc"`
}

func TestCurvesAgainstScikitLearn(t *testing.T) {
	data, err := os.ReadFile("testdata/curves.json")
	if err != nil {
		t.Fatal(err)
	}
	var ref curvesReference
	if err := json.Unmarshal(data, &ref); err != nil {
		t.Fatal(err)
	}
	sample, err := metrics.NewSample(ref.Truth, ref.Probabilities, ref.Classes)
	if err != nil {
		t.Fatal(err)
	}
	var all []int
	var curves [][]metrics.CurvePoint
	for c := range ref.Classes {
		all = append(all, c)
		d := sample.Detection(c)
		near(t, "average precision", d.AveragePrecision(nil), ref.AveragePrecision[c], 1e-9)
		near(t, "weighted average precision", d.AveragePrecision(ref.Weights), ref.WeightedPrecision[c], 1e-9)
		curves = append(curves, d.ROC())
		samePoints(t, "ROC", d.ROC(), ref.ROC[c])
		samePoints(t, "precision and recall", d.PrecisionRecall(), ref.PrecisionRecall[c])
	}
	micro := sample.MicroDetection(all)
	near(t, "micro AUC", micro.AUC(nil), ref.MicroAUC, 1e-9)
	near(t, "micro average precision", micro.AveragePrecision(nil), ref.MicroAP, 1e-9)
	for i, p := range metrics.MeanROC(curves, len(ref.MacroROC)) {
		near(t, "macro ROC x", p.X, ref.MacroROC[i][0], 1e-9)
		near(t, "macro ROC y", p.Y, ref.MacroROC[i][1], 1e-9)
	}
}

func samePoints(t *testing.T, what string, got []metrics.CurvePoint, want [][3]float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s has %d points, want %d", what, len(got), len(want))
	}
	for i, p := range got {
		near(t, what+" x", p.X, want[i][0], 1e-9)
		near(t, what+" y", p.Y, want[i][1], 1e-9)
		if i > 0 || what != "ROC" {
			near(t, what+" cut-off", p.Cutoff, want[i][2], 1e-9)
		}
	}
}

// The area under the drawn curve is the area that is told, and thinning hardly changes it.
func TestAreasOfThinnedCurves(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	n := 5000
	rows, p, truth := make([]int32, n), make([]float32, n), make([]bool, n)
	for i := range rows {
		truth[i] = random.Float64() < 0.2
		x := random.NormFloat64()
		if truth[i] {
			x++
		}
		rows[i], p[i] = int32(i), float32(1/(1+math.Exp(-x)))
	}
	d := metrics.NewDetection(rows, p, truth)
	trapezium := func(points []metrics.CurvePoint) (area float64) {
		for i := range points[1:] {
			area += (points[i+1].X - points[i].X) * (points[i+1].Y + points[i].Y) / 2
		}
		return area
	}
	roc := d.ROC()
	near(t, "area under the curve", trapezium(roc), d.AUC(nil), 1e-9)
	thin := metrics.Thin(roc, 0.005)
	if len(thin) > 402 || thin[len(thin)-1] != roc[len(roc)-1] {
		t.Errorf("%d of %d points are left, the last at %v", len(thin), len(roc), thin[len(thin)-1])
	}
	if got, want := trapezium(thin), d.AUC(nil); math.Abs(got-want) > 0.003 {
		t.Errorf("area of the thinned curve is %v, want %v", got, want)
	}
	if share := d.Positives(); math.Abs(share-0.2) > 0.03 {
		t.Errorf("share of positives is %v", share)
	}
}

func TestCurvesOfOneKindOfRow(t *testing.T) {
	rows, p := []int32{0, 1}, []float32{0.3, 0.6}
	none := metrics.NewDetection(rows, p, []bool{false, false})
	every := metrics.NewDetection(rows, p, []bool{true, true})
	if none.ROC() != nil || none.PrecisionRecall() != nil || !math.IsNaN(none.AveragePrecision(nil)) || !math.IsNaN(none.AUC(nil)) {
		t.Error("there is a curve though nothing is positive")
	}
	if every.ROC() != nil || every.AveragePrecision(nil) != 1 || !math.IsNaN(every.AUC(nil)) {
		t.Error("where everything is positive there is no ROC curve, and precision is 1")
	}
	if metrics.MeanROC([][]metrics.CurvePoint{nil, nil}, 5) != nil {
		t.Error("the mean of no curves is a curve")
	}
	// Answers of equal probability come in together, in whatever order they stand.
	tied := metrics.NewDetection([]int32{0, 1, 2}, []float32{0.5, 0.5, 0.5}, []bool{true, false, false})
	turned := metrics.NewDetection([]int32{0, 1, 2}, []float32{0.5, 0.5, 0.5}, []bool{false, false, true})
	if tied.AUC(nil) != 0.5 || !slices.Equal(tied.ROC(), turned.ROC()) || tied.AveragePrecision(nil) != turned.AveragePrecision(nil) {
		t.Error("ties depend on the order of the rows")
	}
}
