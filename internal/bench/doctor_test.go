package bench

import (
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// What slows a machine down is found, and nothing is found on one that has all.
func TestFindings(t *testing.T) {
	load := func(x float64) *float64 { return &x }
	fine := func() *Examination {
		return &Examination{
			Cores: 1, Threads: 1, Load: load(0.1), Instructions: "avx512", Best: "avx512", Features: []kernel.Feature{{Name: "AVX-512", Present: true}}, Peak: 100,
			Work: []Speed{
				{Work: "float32 product", Share: 0.9}, {Work: networks[0] + " at 224 pixels, fp32", Value: 10},
				{Work: networks[0] + " at 224 pixels, bf16", Value: 15}, {Work: networks[0] + " at 224 pixels, int8", Value: 30},
			},
		}
	}
	for _, c := range []struct {
		change func(*Examination)
		want   string // in the one finding; "" for none
	}{
		{func(*Examination) {}, ""},
		{func(e *Examination) { e.Load = nil }, ""},
		{func(e *Examination) { e.Load = load(0.9) }, "load 0.9, cores 1"},
		{func(e *Examination) { e.Instructions = "avx2" }, "the processor has avx512"},
		{func(e *Examination) { e.Features = nil }, "portable Go"},
		{func(e *Examination) { e.Instructions, e.Best, e.Work[0].Share = "portable", "portable", 0.4 }, "no AVX2"},
		{func(e *Examination) { e.Work[0].Share = 0.4 }, "reach 40 % of the peak"},
		{func(e *Examination) { e.Work[2].Value = 5 }, "bf16 runs at 0.5 times"},
		{func(e *Examination) { e.Work[3].Value = 11 }, "int8 runs at 1.1 times"},
	} {
		e := fine()
		c.change(e)
		e.find()
		var other []string // what the machine that the test runs on adds
		for _, f := range e.Findings {
			if !strings.Contains(f, "a container's limit") {
				other = append(other, f)
			}
		}
		if c.want == "" && len(other) > 0 || c.want != "" && (len(other) != 1 || !strings.Contains(other[0], c.want)) {
			t.Errorf("found %q, want %q", other, c.want)
		}
	}
}
