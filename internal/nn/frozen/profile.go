package frozen

import (
	"fmt"
	"time"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// Step describes one call of a kernel.
type Step struct {
	Layer string // the layer of the network that it begins with; others may be fused to it
	Class string // what kind of work it is: "conv 3×3", "depthwise 5×5, stride 2", "max pool", …
	FLOPs int    // of convolutions and dense layers, by their definition, for one example
}

// Steps lists what the program does, in order.
func (p *Program) Steps() []Step {
	steps := make([]Step, len(p.steps))
	for i, s := range p.steps {
		class, flops := s.describe()
		steps[i] = Step{Layer: p.layers[i], Class: class, FLOPs: flops}
	}
	return steps
}

// Profile is [Session.Run] that adds to took[i] the time of step i of [Program.Steps].
func (s *Session) Profile(took []time.Duration, pool *kernel.Pool, src []float32, n int, dst ...[]float32) error {
	if want := len(s.program.steps); len(took) != want {
		return fmt.Errorf("profile a network: %d times given, want %d", len(took), want)
	}
	s.took = took
	defer func() { s.took = nil }()
	if err := s.Run(pool, src, n, dst...); err != nil {
		return err
	}
	for _, f := range s.frames {
		for i, t := range f.took {
			took[i] += t
		}
		clear(f.took)
	}
	return nil
}

// timed runs steps with a look at the clock between them. What threads do side by side, each with an
// example of its own, counts once.
func (f *frame) timed(from, to int) {
	s := f.session
	if f.took == nil {
		f.took = make([]time.Duration, len(s.took))
	}
	beside := 1
	if f.pool == nil {
		beside = s.threads
	}
	last := time.Now()
	for i := from; i < to; i++ {
		f.enter(i)
		s.program.steps[i].run(f)
		now := time.Now()
		f.took[i] += now.Sub(last) / time.Duration(beside)
		last = now
	}
}

// describeConv names a convolution of images of h×w.
func describeConv(c kernel.Conv, h, w int) (class string, flops int) {
	flops = c.FLOPs(h, w)
	class = "conv"
	switch {
	case c.Depthwise():
		class = "depthwise"
	case h == 1 && w == 1:
		return "dense", flops
	case c.InC <= 4:
		class = "stem"
	}
	class += fmt.Sprintf(" %d×%d", c.KernelH, c.KernelW)
	if stride := max(c.StrideH, c.StrideW); stride > 1 {
		class += fmt.Sprintf(", stride %d", stride)
	}
	return class, flops
}

// suffix names the type in what describes a step.
func (e element) suffix() string { return [...]string{"", ", bf16", ", int8"}[e] }
