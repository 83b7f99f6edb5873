package method

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/nn/train/discrepancy"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
	"github.com/tlpipe/tlpipe/internal/transfer"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
)

// Plan is a training with a method.
type Plan struct {
	Method  Method
	Network Network
	// Standardise has features brought to mean 0 and variance 1 over the source's training rows.
	Standardise bool
	Rows        *rows.Domains
	Chosen      string // what decides which rows of the inputs those are, as text
	Judge       Judge
	// By is the validator by which the epoch is chosen; "": the last one is taken.
	By           string
	Steps        int // of an epoch, at least
	TargetLabels int // of each class that fine_tune learns from; 0: all there are
	Seed         uint64
	Continues    bool // the training starts from a model
}

// Adaptation is the plan as package transfer carries it out. Ports are those that the rows were read from.
func (p Plan) Adaptation(ports []string) transfer.Adaptation {
	return transfer.Adaptation{
		Rows: p.Rows, Ports: ports, By: p.By,
		Network: func(trunk *nn.Network, features nn.Shape, classes int) (*nn.Network, error) {
			return p.Network.Upon(trunk, features, classes, p.Method, p.Standardise)
		},
		Turns: p.turns,
	}
}

// turnRecipe is what decides a turn, beside the phase.
type turnRecipe struct {
	Method  json.RawMessage `json:"method"`
	Network Network         `json:"network"`
	By      string          `json:"by"`
	Judge   []Validator     `json:"judge"`
	Round   int             `json:"round"`
	Labels  int             `json:"labels"`
	Steps   int             `json:"steps"`
	Seed    uint64          `json:"seed"`
	Rows    string          `json:"rows"`
}

// turn is a turn of the plan on the rows of a phase; direct turns have the recipe of [Direct], whichever method they
// come before.
func (p Plan) turn(phase strategy.Phase, m Method, round int) transfer.Turn {
	r := turnRecipe{Method: json.RawMessage(m.Text()), Network: p.Network, By: p.By, Judge: p.Judge.Validators, Round: round, Steps: p.Steps, Seed: p.Seed, Rows: p.Chosen}
	if m.Is().Labels {
		r.Labels = p.TargetLabels
	}
	if m.Kind != CDAN && m.Kind != DANN {
		r.Network.Discriminator = nil
	}
	text, err := json.Marshal(r)
	if err != nil { // numbers and words always marshal
		panic(err)
	}
	return transfer.Turn{Phase: phase, Recipe: string(text), Last: p.By == ""}
}

// turns makes turns of the strategy's phases.
func (p Plan) turns(phases []strategy.Phase) []transfer.Turn {
	switch p.Method.Kind {
	case FineTune:
		return append(p.direct(phases), p.labelled(phases[len(phases)-1]))
	case SelfTraining:
		return append(p.direct(phases), p.selfTraining(phases[len(phases)-1])...)
	case Consistency:
		return append(p.direct(phases), p.consistency(phases[len(phases)-1]))
	case BatchNorm, Tent:
		return append(p.direct(phases), p.onTarget(phases[len(phases)-1]))
	case SHOT:
		return append(p.direct(phases), p.shot(phases[len(phases)-1])...)
	}
	if p.Method.Kind == Direct || p.Method.Kind == PriorShift {
		return p.direct(phases)
	}
	var out []transfer.Turn
	progress := overall(phases)
	for i, phase := range phases {
		turn := p.turn(phase, p.Method, 0)
		if slices.Contains([]string{DeepCoral, MMD, DANN, CDAN}, p.Method.Kind) {
			turn.Moves = func(net *nn.Network) string { return LayersOf(net).Features }
			turn.Still = p.Method.Kind + " moves the features, but no layer below them learns: the training would be that of direct"
		}
		turn.Options = func(net *nn.Network, o *train.Options) {
			p.sideBySide(o)
			p.loss(net, o, p.term(LayersOf(net)))
			if p.Method.Kind == DANN || p.Method.Kind == CDAN {
				o.Reversal = func(at schedule.Position) float64 { return p.Method.Reversal * Rise(progress(i, at)) }
			}
		}
		out = append(out, turn)
	}
	return out
}

// Rise is 2/(1 + e^(−10p)) − 1, from 0 at the beginning of a training to 1 at its end (Ganin et al., arXiv:1505.07818).
func Rise(p float64) float64 { return 2/(1+math.Exp(-10*p)) - 1 }

// overall gives the share of all phases together that is over at a position of phase i.
func overall(phases []strategy.Phase) func(i int, at schedule.Position) float64 {
	before := make([]float64, len(phases)+1)
	for i, phase := range phases {
		before[i+1] = before[i] + float64(phase.Epochs)
	}
	return func(i int, at schedule.Position) float64 {
		return (before[i] + at.Fraction()*float64(phases[i].Epochs)) / max(before[len(phases)], 1)
	}
}

// positions are those of the training rows of a domain.
func (p Plan) positions(domain int) (out []int) {
	for i, d := range p.Rows.Training.Domains {
		if int(d) == domain {
			out = append(out, i)
		}
	}
	return out
}

// sideBySide has batches of as many rows of the source as the batch size says, and as many of the target.
func (p Plan) sideBySide(o *train.Options) {
	o.Batches = train.SideBySide([][]int{p.positions(objective.SourceDomain), p.positions(objective.TargetDomain)}, []int{o.BatchSize, o.BatchSize}, p.Steps, o.Seed)
}

// loss makes the loss of the classification on rows that have a label, of a further term, and of the judge.
func (p Plan) loss(net *nn.Network, o *train.Options, term *objective.Term) {
	plain, _ := o.Objective.(objective.CrossEntropy)
	plain.Unlabelled = true
	sum := objective.Sum{{Name: transfer.ClassTerm, Objective: plain}}
	if term != nil {
		sum = append(sum, *term)
	}
	p.judged(net, o, sum)
}

// judged lets the judge look on, and choose the epoch if it is asked to.
func (p Plan) judged(net *nn.Network, o *train.Options, of objective.Objective) {
	l := LayersOf(net)
	o.Objective = Judged{Objective: of, Judge: p.Judge, Answers: l.Probabilities, Features: l.Penultimate}
	o.Monitor, o.Stopping, o.KeepStart = train.ValidationLoss, nil, false
	if p.By != "" {
		o.Monitor = train.Monitor("val_" + p.By)
	}
}

// direct are turns on the source's rows alone.
func (p Plan) direct(phases []strategy.Phase) (out []transfer.Turn) {
	if p.Continues && p.Method.Kind != Direct {
		return nil
	}
	for _, phase := range phases {
		turn := p.turn(phase, Of(Direct), 0)
		turn.Options = func(net *nn.Network, o *train.Options) {
			o.Batches = train.SideBySide([][]int{p.positions(objective.SourceDomain)}, []int{o.BatchSize}, p.Steps, o.Seed)
			p.loss(net, o, nil)
		}
		out = append(out, turn)
	}
	return out
}

// term is the method's own part of the loss.
func (p Plan) term(l Layers) *objective.Term {
	m := p.Method
	t := &objective.Term{Name: m.Kind, TrainingOnly: true}
	if m.Weight != nil {
		t.Weight = objective.Constant(*m.Weight)
	}
	estimators := map[string]discrepancy.Estimator{"biased": discrepancy.Biased, "unbiased": discrepancy.Unbiased, "linear": discrepancy.Linear}
	widths := discrepancy.LibraryBandwidths()
	if m.Kernels == "original" {
		widths = discrepancy.OriginalBandwidths()
	}
	switch m.Kind {
	case DeepCoral:
		t.Objective = objective.DeepCORAL{Output: l.Features}
	case MMD:
		t.Objective = objective.MMD{Output: l.Features, Estimator: estimators[m.Estimator], Bandwidths: widths}
	case JMMD:
		t.Objective = objective.JointMMD{Features: l.Features, Answers: l.Probabilities, Estimator: estimators[m.Estimator], Bandwidths: widths}
	case DANN:
		t.Objective = objective.Discrimination{Output: l.Domain}
	case CDAN:
		d := objective.Discrimination{Output: l.Domain}
		if *m.Entropy {
			d.Certainty = l.Probabilities
		}
		t.Objective = d
	case MCC:
		t.Objective = objective.ClassConfusion{Output: l.Probabilities, Temperature: m.Temperature}
	}
	return t
}

// labelled is a turn on rows of the target that have a label, after the direct ones.
func (p Plan) labelled(phase strategy.Phase) transfer.Turn {
	phase.Name = FineTune
	positions, classes := p.revealed()
	turn := p.turn(phase, p.Method, 1)
	turn.Last = true // what is left of the source says nothing of it
	turn.Classes = func() []int {
		all := slices.Clone(p.Rows.Training.Classes)
		for i, at := range positions {
			all[at] = classes[i]
		}
		return all
	}
	turn.Options = func(net *nn.Network, o *train.Options) {
		o.Sample = func(int) []int { return positions }
		p.loss(net, o, nil)
	}
	return turn
}

// revealed are the labelled rows of the target that fine_tune learns from.
func (p Plan) revealed() (positions, classes []int) {
	return p.Rows.Reveal(p.TargetLabels, func(n int) []int { return train.Shuffled(n, p.Seed, 0, "labelled rows of the target") })
}

// Labels is how many labels of the target the plan uses.
func (p Plan) Labels() int {
	if !p.Method.Is().Labels {
		return 0
	}
	positions, _ := p.revealed()
	n := 0
	for _, at := range positions {
		if p.Rows.Training.Copies[at] == 0 {
			n++
		}
	}
	return n
}

// selfTraining are turns on the source's rows and the target's that the network before them was most confident of, class
// by class, a larger share in each round.
func (p Plan) selfTraining(phase strategy.Phase) (out []transfer.Turn) {
	rounds := p.Method.Rounds
	epochs := max(phase.Epochs/rounds, 1)
	for round := range rounds {
		phase := phase
		phase.Name, phase.Epochs = fmt.Sprintf("round%d", round+1), epochs
		share := p.Method.Share[0]
		if rounds > 1 {
			share += (p.Method.Share[1] - share) * float64(round) / float64(rounds-1)
		}
		target := p.positions(objective.TargetDomain)
		var classes, chosen []int
		turn := p.turn(phase, p.Method, round+1)
		turn.Prepare = func(ctx context.Context, at *transfer.Inference) error {
			values, err := at.Compute(ctx, &p.Rows.Training, target)
			if err != nil {
				return err
			}
			classes = slices.Clone(p.Rows.Training.Classes)
			chosen = nil
			for i, class := range confident(values[0], len(p.Rows.Classes), share) {
				if class != objective.Unknown {
					classes[target[i]] = class
					chosen = append(chosen, target[i])
				}
			}
			return nil
		}
		turn.Classes = func() []int { return classes }
		turn.Options = func(net *nn.Network, o *train.Options) {
			o.Batches = train.SideBySide([][]int{p.positions(objective.SourceDomain), chosen}, []int{o.BatchSize, o.BatchSize}, p.Steps, o.Seed)
			if len(chosen) == 0 { // a range test, or nothing to prepare for
				o.Batches = nil
			}
			plain, _ := o.Objective.(objective.CrossEntropy)
			plain.Unlabelled = true
			p.judged(net, o, objective.Sum{
				{Name: transfer.ClassTerm, Objective: objective.OfDomain{CrossEntropy: plain, Domain: objective.SourceDomain}},
				{Name: SelfTraining, Objective: objective.OfDomain{CrossEntropy: plain, Domain: objective.TargetDomain}, Weight: objective.Constant(*p.Method.Weight), TrainingOnly: true},
			})
		}
		out = append(out, turn)
	}
	return out
}

// confident labels the share of the rows of each class, by the most probable one, that the answers are surest of. The
// others have the class objective.Unknown.
func confident(p []float32, classes int, share float64) []int {
	rows := len(p) / classes
	of := make([][]int, classes)
	out := make([]int, rows)
	for i := range rows {
		out[i] = objective.Unknown
		c := MostProbable(p[i*classes : (i+1)*classes])
		of[c] = append(of[c], i)
	}
	for c, members := range of {
		slices.SortStableFunc(members, func(a, b int) int { return cmp.Compare(p[b*classes+c], p[a*classes+c]) })
		for _, i := range members[:int(math.Ceil(share*float64(len(members))))] {
			out[i] = c
		}
	}
	return out
}
