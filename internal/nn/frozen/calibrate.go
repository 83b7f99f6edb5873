package frozen

import (
	"fmt"
	"math"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// Ranges are those of the values of a network, by the layer that each begins with: a layer's own, or
// that of the activation, say, that is fused to it.
type Ranges map[string]Range

// Range is where the numbers of a value lie. It contains zero.
type Range struct{ Low, High float32 }

func (r Range) with(other Range) Range {
	return Range{min(r.Low, other.Low), max(r.High, other.High)}
}

// quantization divides the range into 255 equal steps, of which zero is one.
func (r Range) quantization() kernel.Quantization {
	if !(r.High > r.Low) {
		return kernel.Quantization{Scale: 1}
	}
	scale := (r.High - r.Low) / 255
	return kernel.Quantization{Scale: scale, Zero: uint8(math.RoundToEven(float64(-r.Low / scale)))}
}

// Calibrate finds the ranges of the values of a network, for the named layers as in
// [Options.Compile], from n examples: the mean over the examples of the least number and of the
// greatest (as the moving average of Jacob et al. 2018, arXiv:1712.05877, 3.1), so that an outlier of one
// example does not widen the steps of all. The ends are rounded to eight bits, so that the last bits
// in which instruction sets differ seldom reach the result.
func (o Options) Calibrate(net *nn.Network, w nn.Weights, pool *kernel.Pool, x []float32, n int, layers ...string) (Ranges, error) {
	o.Precision, o.apart = Float32, true
	c, p, err := o.compile(net, w, layers)
	if err != nil {
		return nil, err
	}
	if err := p.oneInput(); err != nil {
		return nil, fmt.Errorf("calibrate a network: %w", err)
	}
	size := p.InputShape().Size()
	if n < 1 || len(x) != n*size {
		return nil, fmt.Errorf("calibrate a network: %d numbers are not %d examples of %v", len(x), n, p.InputShape())
	}
	seen := make([][]Range, n) // by example, of the input and of each node
	sessions := make([]*Session, pool.Threads())
	pool.Each(n, func(thread, example int) {
		if sessions[thread] == nil {
			sessions[thread] = p.NewSession(1)
		}
		seen[example] = c.observe(sessions[thread], x[example*size:(example+1)*size])
	})
	ranges := Ranges{}
	for i, name := range append([]string{c.net.Inputs()[0].Name}, c.names()...) {
		var low, high float64
		for _, of := range seen {
			low += float64(of[i].Low) / float64(n)
			high += float64(of[i].High) / float64(n)
		}
		if math.IsInf(high-low, 0) || math.IsNaN(high-low) || high-low > math.MaxFloat32 {
			return nil, fmt.Errorf("calibrate a network: the numbers of layer %q are not finite", name)
		}
		ranges[name] = Range{round(low), round(high)}
	}
	return ranges, nil
}

// observe computes an example and returns the ranges of the input and of what each node puts out.
func (c *compilation) observe(s *Session, x []float32) []Range {
	s.source[0].Float32 = x
	f := &frame{session: s, arena: newArena(1, s.program.thread), n: 1}
	seen := []Range{extremes(x)}
	at := 0
	for _, n := range c.nodes {
		f.run(at, n.end)
		at = n.end
		v := n.out.view()
		y := f.slice(v)
		r := Range{}
		for i := range v.pixels {
			r = r.with(extremes(y[i*v.pitch:][:v.channels]))
		}
		seen = append(seen, r)
	}
	s.source[0] = nn.Values{}
	return seen
}

// extremes returns the range of the numbers and zero; a NaN becomes its ends.
func extremes(x []float32) Range {
	var r Range
	for _, v := range x {
		r.Low, r.High = min(r.Low, v), max(r.High, v)
	}
	return r
}

// names lists those of the nodes.
func (c *compilation) names() []string {
	names := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		names[i] = n.name
	}
	return names
}

func round(x float64) float32 { return kernel.RoundBFloat16(float32(x)).Float32() }
