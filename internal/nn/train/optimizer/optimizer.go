package optimizer

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"gorgonia.org/gorgonia"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// Rule is an update rule: [SGD], [Adam], [AdamW] or [RMSProp].
type Rule interface {
	// slots is the number of values the rule remembers for each element.
	slots() int
	// check returns an error if the settings make no sense.
	check() error
	// update changes the weights of one piece.
	update(p piece)
}

// Group says how some parameters are treated.
type Group struct {
	Rate  float64 // factor on the learning rate; 0 leaves the parameters as they are
	Decay float64 // λ: added to the gradient as λ·w, or, by AdamW, taken from the weight as rate·λ·w
}

// Options are an optimizer's settings.
type Options struct {
	Rule Rule
	// Group returns the group of a parameter by name; nil means Group{Rate: 1} for all.
	Group func(parameter string) Group
	// ClipNorm, if above zero, scales the gradients down together when their common Euclidean norm
	// is greater.
	ClipNorm float64
	Pool     *kernel.Pool // shares the work; nil means the calling goroutine alone
}

// Optimizer takes steps.
type Optimizer struct {
	options Options
	rate    float64
	state   State
	pieces  []piece
	sums    []float64
}

// State is what an optimizer remembers, by parameter name.
type State map[string]Memory

// Memory is what an optimizer remembers of one parameter.
type Memory struct {
	Steps int         // taken so far
	Slots [][]float32 // the rule's, each with the parameter's size
}

// New makes an optimizer with no memory. Its rate is zero until it is set.
func New(options Options) (*Optimizer, error) {
	if err := options.Rule.check(); err != nil {
		return nil, fmt.Errorf("optimizer: %w", err)
	}
	if !(options.ClipNorm >= 0) {
		return nil, fmt.Errorf("optimizer: norm %v to clip at: must not be negative", options.ClipNorm)
	}
	if options.Group == nil {
		options.Group = func(string) Group { return Group{Rate: 1} }
	}
	return &Optimizer{options: options, state: State{}}, nil
}

// ErrNotFinite tells that gradients that were to be clipped are not numbers, or infinite.
var ErrNotFinite = errors.New("optimizer: the gradients are not finite")

// SetRate sets the learning rate of the steps to come.
func (s *Optimizer) SetRate(rate float64) { s.rate = rate }

// State returns the optimizer's memory. It is shared with the optimizer: copy it to keep it.
func (s *Optimizer) State() State { return s.state }

// Restore replaces the optimizer's memory, which it then owns.
func (s *Optimizer) Restore(state State) error {
	for name, m := range state {
		if len(m.Slots) != s.options.Rule.slots() || m.Steps < 0 {
			return fmt.Errorf("optimizer: state of %q has %d values an element, the rule has %d", name, len(m.Slots), s.options.Rule.slots())
		}
	}
	s.state = state
	return nil
}

// pieceLength is the number of elements that are worth handing to a thread. It decides the order
// of sums, so it is the same for all.
const pieceLength = 16 << 10

// piece is a run of elements of one parameter.
type piece struct {
	weights, gradient []float32
	slots             [][]float32
	scale             float32 // of the gradient, by clipping
	rate, decay       float64
	steps             int // including this one
	index             int
}

// Step implements [gorgonia.Solver]: it changes the parameters' values in place. If it returns an
// error, nothing has been changed.
func (s *Optimizer) Step(parameters []gorgonia.ValueGrad) error {
	if err := s.prepare(parameters); err != nil {
		return err
	}
	if s.options.ClipNorm > 0 {
		if err := s.clip(); err != nil {
			return err
		}
	}
	s.each(func(p *piece) { s.options.Rule.update(*p) })
	for _, p := range parameters {
		name := p.(gorgonia.Namer).Name()
		if m, ok := s.state[name]; ok {
			m.Steps++
			s.state[name] = m
		}
	}
	return nil
}

// prepare cuts the parameters into pieces and makes memory for new ones.
func (s *Optimizer) prepare(parameters []gorgonia.ValueGrad) error {
	s.pieces = s.pieces[:0]
	for _, p := range parameters {
		named, ok := p.(gorgonia.Namer)
		if !ok {
			return fmt.Errorf("optimizer: a parameter (%T) has no name", p)
		}
		name := named.Name()
		group := s.options.Group(name)
		if group.Rate == 0 {
			continue
		}
		gradient, err := p.Grad()
		if err != nil {
			return fmt.Errorf("optimizer: %w", err)
		}
		w, ok1 := p.Value().Data().([]float32)
		g, ok2 := gradient.Data().([]float32)
		if !ok1 || !ok2 || len(w) != len(g) {
			return fmt.Errorf("optimizer: parameter %q: %d float32 values with %d gradients", name, len(w), len(g))
		}
		memory, ok := s.state[name]
		if !ok {
			memory = Memory{Slots: make([][]float32, s.options.Rule.slots())}
			for i := range memory.Slots {
				memory.Slots[i] = make([]float32, len(w))
			}
			s.state[name] = memory
		}
		for _, slot := range memory.Slots {
			if len(slot) != len(w) {
				return fmt.Errorf("optimizer: parameter %q has %d values, its memory %d", name, len(w), len(slot))
			}
		}
		for at := 0; at < len(w); at += pieceLength {
			end := min(at+pieceLength, len(w))
			slots := make([][]float32, len(memory.Slots))
			for i := range slots {
				slots[i] = memory.Slots[i][at:end]
			}
			s.pieces = append(s.pieces, piece{
				weights: w[at:end], gradient: g[at:end], slots: slots, scale: 1,
				rate: s.rate * group.Rate, decay: group.Decay, steps: memory.Steps + 1, index: len(s.pieces),
			})
		}
	}
	return nil
}

// clip scales all gradients so that their common norm is at most ClipNorm. As in PyTorch's
// clip_grad_norm_, the norm has 1e-6 added.
func (s *Optimizer) clip() error {
	s.sums = slices.Grow(s.sums[:0], len(s.pieces))[:len(s.pieces)]
	s.each(func(p *piece) {
		var sum float64
		for _, g := range p.gradient {
			sum += float64(g) * float64(g)
		}
		s.sums[p.index] = sum
	})
	var total float64
	for _, sum := range s.sums {
		total += sum
	}
	norm := math.Sqrt(total)
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return ErrNotFinite
	}
	if factor := s.options.ClipNorm / (norm + 1e-6); factor < 1 {
		for i := range s.pieces {
			s.pieces[i].scale = float32(factor)
		}
	}
	return nil
}

// each runs f on every piece.
func (s *Optimizer) each(f func(*piece)) {
	s.options.Pool.Each(len(s.pieces), func(_, i int) { f(&s.pieces[i]) })
}
