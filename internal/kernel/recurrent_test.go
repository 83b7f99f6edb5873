package kernel_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// Outputs and gradients are those of PyTorch (testdata/recurrent.py), in both directions.
func TestRecurrentLikePyTorch(t *testing.T) {
	type direction struct {
		Input  []float32 `json:"weight_ih"`
		State  []float32 `json:"weight_hh"`
		Bias   []float32 `json:"bias_ih"`
		Inner  []float32 `json:"bias_hh"`
		DInput []float32 `json:"d_weight_ih"`
		DState []float32 `json:"d_weight_hh"`
		DBias  []float32 `json:"d_bias_ih"`
		DInner []float32 `json:"d_bias_hh"`
	}
	var cases []struct {
		Cell         string
		Last         bool
		X, Y, DY, DX []float32
		Directions   []direction
	}
	raw, err := os.ReadFile("testdata/recurrent.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &cases); err != nil {
		t.Fatal(err)
	}
	const inputs, units = 3, 4
	sequences := []kernel.Sequence{{First: 0, Length: 5, Rows: 5}, {First: 5, Length: 3, Rows: 5}}
	pool := kernel.NewPool(2)
	defer pool.Close()
	for _, c := range cases {
		dx := make([]float32, len(c.X))
		for i, d := range c.Directions {
			r := kernel.Recurrent{Cell: kernel.LSTM, Units: units, Inputs: inputs, Last: c.Last, Reverse: i == 1}
			w := kernel.RecurrentWeights{Input: d.Input, State: d.State, Bias: slices.Clone(d.Bias)}
			if c.Cell == "gru" {
				r.Cell, w.Inner = kernel.GRU, d.Inner
			} else {
				for j := range w.Bias {
					w.Bias[j] += d.Inner[j]
				}
			}
			half := func(both []float32) []float32 { // of the outputs of both directions
				var out []float32
				for at := i * units; at < len(both); at += 2 * units {
					out = append(out, both[at:at+units]...)
				}
				return out
			}
			var trace kernel.RecurrentTrace
			y := make([]float32, len(c.Y)/2)
			r.Run(pool, sequences, y, c.X, w, &trace, nil)
			near(t, c.Cell, "output", y, half(c.Y))
			into := kernel.RecurrentWeights{Input: make([]float32, len(d.Input)), State: make([]float32, len(d.State)), Bias: make([]float32, len(d.Bias)), Inner: make([]float32, len(d.Inner))}
			own := make([]float32, len(c.X))
			r.Backward(pool, sequences, own, into, half(c.DY), c.X, w, &trace, nil)
			for j := range dx {
				dx[j] += own[j]
			}
			near(t, c.Cell, "weights", into.Input, d.DInput)
			near(t, c.Cell, "state weights", into.State, d.DState)
			near(t, c.Cell, "bias", into.Bias, d.DBias)
			near(t, c.Cell, "state bias", into.Inner, d.DInner)
		}
		near(t, c.Cell, "input", dx, c.DX)
	}
}

func near(t *testing.T, cell, what string, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > 2e-6 {
			t.Errorf("%s: %s %d is %v, want %v", cell, what, i, got[i], want[i])
			return
		}
	}
}

// A sequence gives the same bytes alone and among others, and for any number of threads.
func TestRecurrentRowsAreTheirOwn(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	draw := func(n int) []float32 {
		out := make([]float32, n)
		for i := range out {
			out[i] = float32(random.NormFloat64()) / 4
		}
		return out
	}
	for _, cell := range []kernel.RecurrentCell{kernel.LSTM, kernel.GRU} {
		r := kernel.Recurrent{Cell: cell, Units: 37, Inputs: 21, HardSigmoid: cell == kernel.GRU}
		wide := cell.Gates() * r.Units
		w := kernel.RecurrentWeights{Input: draw(wide * r.Inputs), State: draw(wide * r.Units), Bias: draw(wide), Inner: draw(wide)}
		var sequences []kernel.Sequence
		rows := 0
		for _, length := range []int{3, 40, 17, 1, 29, 40, 2} {
			sequences = append(sequences, kernel.Sequence{First: rows, Length: length, Rows: length})
			rows += length
		}
		x := draw(rows * r.Inputs)
		var trace kernel.RecurrentTrace
		together := make([]float32, rows*r.Units)
		pool := kernel.NewPool(3)
		r.Run(pool, sequences, together, x, w, &trace, nil)
		pool.Close()
		one := kernel.NewPool(1)
		for _, s := range sequences {
			alone := make([]float32, s.Length*r.Units)
			r.Run(one, []kernel.Sequence{{Length: s.Length, Rows: s.Length}}, alone, x[s.First*r.Inputs:], w, &trace, nil)
			if !slices.Equal(alone, together[s.First*r.Units:(s.First+s.Length)*r.Units]) {
				t.Errorf("%v: a sequence of %d tokens depends on the others", cell, s.Length)
			}
		}
		one.Close()
	}
}

// BenchmarkRecurrent measures a layer on a batch of texts of mixed length: go test -bench Recurrent -cpu 1,2.
func BenchmarkRecurrent(b *testing.B) {
	random := rand.New(rand.NewPCG(1, 2))
	draw := func(n int) []float32 {
		out := make([]float32, n)
		for i := range out {
			out[i] = float32(random.NormFloat64()) / 8
		}
		return out
	}
	for _, cell := range []kernel.RecurrentCell{kernel.LSTM, kernel.GRU} {
		for _, size := range [][2]int{{100, 128}, {128, 64}} {
			r := kernel.Recurrent{Cell: cell, Inputs: size[0], Units: size[1]}
			wide := cell.Gates() * r.Units
			w := kernel.RecurrentWeights{Input: draw(wide * r.Inputs), State: draw(wide * r.Units), Bias: draw(wide), Inner: draw(wide)}
			d := kernel.RecurrentWeights{Input: draw(wide * r.Inputs), State: draw(wide * r.Units), Bias: draw(wide), Inner: draw(wide)}
			const batch, longest = 32, 128
			var sequences []kernel.Sequence
			tokens := 0
			for i := range batch {
				length := min(longest, 24+i*5)
				sequences = append(sequences, kernel.Sequence{First: i * longest, Length: length, Rows: longest})
				tokens += length
			}
			x, y, dy, dx := draw(batch*longest*r.Inputs), draw(batch*longest*r.Units), draw(batch*longest*r.Units), draw(batch*longest*r.Inputs)
			pool := kernel.NewPool(runtime.GOMAXPROCS(0))
			var trace kernel.RecurrentTrace
			var workspace kernel.Workspace
			each := float64(2*tokens*wide) * float64(r.Inputs+r.Units)
			b.Run(fmt.Sprintf("%v/%d-%d/forward", cell, r.Inputs, r.Units), func(b *testing.B) {
				for b.Loop() {
					r.Run(pool, sequences, y, x, w, &trace, &workspace)
				}
				b.ReportMetric(each*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
			b.Run(fmt.Sprintf("%v/%d-%d/backward", cell, r.Inputs, r.Units), func(b *testing.B) {
				for b.Loop() {
					r.Backward(pool, sequences, dx, d, dy, x, w, &trace, &workspace)
				}
				b.ReportMetric(2*each*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
			pool.Close()
		}
	}
}
