package strategy

import (
	"cmp"

	"github.com/tlpipe/tlpipe/internal/nn/train"
)

// Preset says what the words for strategies stand for, and everything that is not given.
type Preset string

// The presets.
const (
	// Default has the numbers that did best on validation rows in the study of docs/defaults.md.
	Default Preset = "default"
	// Encoders has what pre-trained text encoders take in the place of Default: lower rates, which warm up and fall linearly (Devlin et
	// al. 2018, arXiv:1810.04805, appendix A.3), and no smoothing of the labels.
	Encoders Preset = "encoders"
	// Tutorial has those of the tutorials of transfer learning, with the rates that they teach.
	Tutorial Preset = "tutorial"
)

// rates are the learning rates of a preset.
type rates struct {
	head     float64 // of a head that begins at 0
	upper    float64 // of the upper layers of a backbone
	backbone float64 // of all of it
	gentle   float64 // of all, after a phase in which the head has learned to its end
	adapters float64 // of adapters and head
	spread   float64 // of the head, where rates are spread below it over the depth
}

// rates are those of the presets Default and Encoders.
func (p Preset) rates() rates {
	if p == Encoders {
		return rates{head: 3e-3, upper: 1e-4, backbone: 5e-5, gentle: 2e-5, adapters: 1e-3, spread: 3e-4}
	}
	return rates{head: 3e-3, upper: 1e-3, backbone: 3e-4, gentle: 1e-4, adapters: 3e-3, spread: 3e-3}
}

// phases are those of a word in the presets Default and Encoders.
//
//   - feature_extraction: the head alone.
//   - partial: the head and the top of the backbone.
//   - full: everything.
//   - progressive: those three one after the other: gradual unfreezing (Howard and Ruder 2018,
//     arXiv:1801.06146).
//   - fine_tune: fastai's Learner.fine_tune: the head for an epoch, then everything, with rates spread
//     over the depth.
//   - layerwise: everything, each block more slowly than the one above.
//   - adapters: the head and small layers that are put into the backbone (Houlsby et al. 2019,
//     arXiv:1902.00751; Hu et al. 2021, arXiv:2106.09685).
//   - linear_then_full: the head to its end, then everything (Kumar et al. 2022, arXiv:2202.10054,
//     whose head is linear).
//
// Where the backbone learns from the first step, the head does so faster: it begins at 0, so that the
// backbone's first gradients are 0 too and grow with what the head has learned.
func (p spelling) phases(preset Preset) []Phase {
	r := preset.rates()
	head := Phase{Name: "head", LearningRate: r.head}
	top := Phase{Name: "top", LearningRate: r.upper, HeadRate: r.head, Top: cmp.Or(p.Top, 40), usual: p.Top == 0}
	everything := Phase{Name: all, LearningRate: r.backbone, HeadRate: r.head, Unfreeze: []string{all}}
	switch p.Kind {
	case FeatureExtraction:
		return []Phase{head}
	case Partial:
		if len(p.Unfreeze) > 0 {
			top.Top, top.Unfreeze = p.Top, p.Unfreeze
		}
		return []Phase{top}
	case Full:
		return []Phase{everything}
	case Progressive:
		head.Epochs, everything.Epochs = 1, 2
		everything.LearningRate, everything.HeadRate = r.gentle, 0
		return []Phase{head, top, everything}
	case FineTune:
		head.Epochs = 1
		everything.LearningRate, everything.Spread, everything.BatchSize = r.spread, cmp.Or(p.Spread, 30), &Batch{ByRows: true}
		return []Phase{head, everything}
	case Layerwise:
		everything.LearningRate, everything.Decay = r.upper, cmp.Or(p.Decay, 0.85)
		return []Phase{everything}
	case Adapted:
		return []Phase{p.adaptedPhase(Phase{Name: Adapted, LearningRate: r.adapters})}
	case LinearThenFull:
		everything.LearningRate, everything.HeadRate = r.gentle, 0
		return []Phase{head, everything}
	}
	return nil
}

// adaptedPhase lets adapters learn in a phase or, of bitfit, the biases of all layers.
func (p spelling) adaptedPhase(phase Phase) Phase {
	if p.Adapter == bitfit {
		phase.Unfreeze = []string{biases}
		return phase
	}
	phase.adapted = true
	return phase
}

// tutorial are the phases of a word in the preset Tutorial: the tutorial's rates and epochs,
// progressive's each at a tenth of the rate before; fine_tune has the numbers of fastai's
// Learner.fine_tune and fit_one_cycle, everything at half the rate spread over the depth.
func (p spelling) tutorial() []Phase {
	head := Phase{Name: "head", Epochs: 10, LearningRate: 1e-3}
	everything := Phase{Name: all, Epochs: 10, LearningRate: 1e-5, Unfreeze: []string{all}}
	switch p.Kind {
	case FeatureExtraction:
		return []Phase{head}
	case Partial:
		top := Phase{Name: "top", Epochs: 10, LearningRate: 1e-4, Top: cmp.Or(p.Top, 20), usual: p.Top == 0}
		if len(p.Unfreeze) > 0 {
			top.Top, top.Unfreeze = p.Top, p.Unfreeze
		}
		return []Phase{top}
	case Full:
		return []Phase{everything}
	case Progressive:
		head.Epochs, everything.Epochs = 5, 2
		return []Phase{head, {Name: "top", Epochs: 5, LearningRate: 1e-4, Top: cmp.Or(p.Top, 20), usual: p.Top == 0}, everything}
	case FineTune:
		rise := Schedule{Kind: oneCycle, Rise: 0.99, Start: 1.0 / 25}
		turn := Schedule{Kind: oneCycle, Rise: 0.3, Start: 1.0 / 5}
		head.Epochs, head.LearningRate, head.Schedule = 1, 2e-3, &rise
		everything.Epochs, everything.LearningRate, everything.Schedule = 4, 1e-3, &turn
		everything.Spread = cmp.Or(p.Spread, 100)
		return []Phase{head, everything}
	case Layerwise:
		everything.LearningRate, everything.Decay = 1e-4, cmp.Or(p.Decay, 0.75)
		return []Phase{everything}
	case Adapted:
		return []Phase{p.adaptedPhase(Phase{Name: Adapted, Epochs: 10, LearningRate: 1e-3})}
	case LinearThenFull:
		return []Phase{head, everything}
	}
	return nil
}

// FromScratch is how a network learns whose weights are all random: all layers at one rate, batch-norms with the statistics
// of their batches.
func FromScratch() Strategy {
	return Strategy{Phases: []Phase{{Name: all, Epochs: 10, LearningRate: Default.rates().upper, Unfreeze: []string{all}, BatchNorm: TrainingNorms}}}
}

// Recovery is how a trained network learns again that parts were taken out of: all layers, batch-norms with the statistics of
// their batches.
func Recovery() Strategy {
	return Strategy{Phases: []Phase{{Name: all, Epochs: 2, LearningRate: Default.rates().backbone, Unfreeze: []string{all}, BatchNorm: TrainingNorms}}}
}

// RoundingAware is how a trained network learns to compute with bytes: all layers, gently.
func RoundingAware() Strategy {
	return Strategy{Phases: []Phase{{Name: all, Epochs: 3, LearningRate: Default.rates().gentle, Unfreeze: []string{all}}}}
}

// Named is the strategy of a word.
func Named(kind string) Strategy { return Strategy{spelling: spelling{Kind: kind}} }

// Epochs that are left to the number of rows: as many as come to rowsInAll rows, within limits.
const (
	rowsInAll       = 6000
	mostEpochs      = 8
	leastEpochs     = 2
	leastHeadEpochs = 3 // where the head alone learns, epochs are cheap
)

// For gives a phase on so many rows the epochs that were left to their number, the fewer the more rows
// there are, so that trainings take about as many steps; and the batches that were.
func (p Phase) For(rows int) Phase {
	if p.Epochs == 0 {
		least := leastEpochs
		if p.onlyHead() {
			least = leastHeadEpochs
		}
		p.Epochs = min(max((rowsInAll+rows/2)/max(rows, 1), least), mostEpochs)
	}
	p.BatchSize = p.BatchSize.For(rows)
	return p
}

// LearningIn is how anything learns whose parameters are left to a preset: a head on features, or
// pictures.
func LearningIn(preset Preset, pictures bool) Learning {
	l := Learning{
		BatchSize:      32,
		Accumulate:     1,
		Optimiser:      adam,
		Schedule:       Schedule{Kind: constant},
		EarlyStopping:  EarlyStopping{Monitor: string(train.ValidationLoss)},
		ClassWeights:   ClassWeights{Rule: none},
		Sampling:       "all",
		MixProbability: 1,
		Precision:      "fp32",
		Restore:        RestoreBest,
	}
	if preset == Default && pictures {
		l.BatchSize = 16
		l.Optimiser = adamw
		l.Schedule = Schedule{Kind: oneCycle, Rise: 0.1}.complete()
		l.LabelSmoothing = 0.1
	}
	if preset == Encoders {
		l.BatchSize, l.Optimiser, l.Schedule = 16, adamw, Schedule{Kind: linear}.complete()
	}
	return l
}
