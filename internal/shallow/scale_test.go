package shallow

import (
	"context"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
)

// BenchmarkLogisticAtScale fits the rows that docs/compare/logistic.py writes to the folder that stands in TLPIPE_LOGISTIC,
// with the penalty of TLPIPE_PENALTY and two threads, and tells the loss, the iterations and what the fit allocated.
func BenchmarkLogisticAtScale(b *testing.B) {
	folder := os.Getenv("TLPIPE_LOGISTIC")
	penalty, err := strconv.ParseFloat(os.Getenv("TLPIPE_PENALTY"), 64)
	if folder == "" || err != nil {
		b.Skip("TLPIPE_LOGISTIC and TLPIPE_PENALTY do not say what to fit")
	}
	numbers := func(name string) []uint32 {
		raw, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			b.Fatal(err)
		}
		out := make([]uint32, len(raw)/4)
		for i := range out {
			out[i] = binary.LittleEndian.Uint32(raw[4*i:])
		}
		return out
	}
	rows, classes := Rows{}, 0
	for _, class := range numbers("classes.int32") {
		rows.Classes = append(rows.Classes, int(class))
		classes = max(classes, int(class)+1)
	}
	for _, bits := range numbers("features.float32") {
		rows.Values = append(rows.Values, math.Float32frombits(bits))
	}
	rows.Width = len(rows.Values) / rows.Len()
	var l *Linear
	var steps []Step
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for b.Loop() {
		o := Options{Settings: Settings{Penalties: []float64{penalty}}, Threads: 2}
		if l, steps, err = Logistic(context.Background(), rows, Rows{Width: rows.Width}, classes, o); err != nil {
			b.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	loss := 0.0
	logits := make([]float64, classes)
	for i, class := range rows.Classes {
		for k := range logits {
			logits[k] = float64(l.Bias[k])
			for j, w := range l.Weights[k*rows.Width : (k+1)*rows.Width] {
				logits[k] += float64(w) * float64(rows.row(i)[j])
			}
		}
		loss += logSumExp(logits) - logits[class]
	}
	for _, w := range l.Weights {
		loss += penalty / 2 * float64(w) * float64(w)
	}
	b.Logf("mean loss %.10f", loss/float64(rows.Len())) // a metric has four digits
	b.ReportMetric(float64(steps[0].Iterations), "iterations")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/float64(b.N)/1e6, "MB")
}
