package adapt

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/domain/method"
	"github.com/tlpipe/tlpipe/internal/transfer"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Names of the ports.
const (
	SourcePort = "source"
	TargetPort = "target"
	TestPort   = "test"
	ModelPort  = transfer.ModelPort
)

// Kind declares the stage.
func Kind() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "adapt",
		Summary: "train a classifier on one domain for use on another that has few labels or none",
		Doc: "Trains on the labelled rows of the source and the rows of the target, both of split train; only the method fine_tune uses labels of " +
			"the target. It trains every listed method at every learning rate, and direct, the baseline that is trained on the source " +
			"alone. With select, a validator chooses the method, the rate and the epoch without labels of the target. If rows of split test " +
			"of the target, or of the input test, have labels, the output selection lists the accuracy of every candidate on them, called " +
			"oracle, and the paired test against direct; neither affects the choice. " +
			"Methods: " + describe() + ".",
		Example: `adapted:
  uses: adapt
  from: features
  with:
    domains: {source: [photo], target: [sketch]}
    method: [dann, mcc]
    select: {by: im, over: [method, epoch]}`,
		Version: 13,
		Seeded:  true,
		Inputs: []pipeline.Port{
			{Name: SourcePort, Kind: pipeline.Features, Also: []pipeline.PortKind{pipeline.Images}, Doc: "labelled rows of the source, or the table that domains divides"},
			{Name: TargetPort, Kind: pipeline.Features, Also: []pipeline.PortKind{pipeline.Images}, Optional: true, Doc: "rows of the target; if not given, domains selects them from the table of the source"},
			{Name: ModelPort, Kind: pipeline.Model, Optional: true, Doc: "a model of stage adapt or finetune on the same rows, to start from"},
			{Name: TestPort, Kind: pipeline.Features, Also: []pipeline.PortKind{pipeline.Images}, Optional: true, Doc: "labelled rows of split test of the target, for reporting; if not given, those of the input target"},
		},
		Outputs: []pipeline.Port{
			{Name: "model", Kind: pipeline.Model, Doc: "the chosen classifier, which takes rows as they are"},
			{Name: "direct", Kind: pipeline.Model, Doc: "the baseline: trained on the source alone"},
			{Name: "history", Kind: pipeline.Metrics, Doc: "every term of the loss, with its weight, by candidate, epoch and step"},
			{Name: "shift", Kind: pipeline.Metrics, Doc: "distances between source and target, before and after the adaptation"},
			{Name: "selection", Kind: pipeline.Metrics, Doc: "all candidates and epochs, with the score of each validator and, where there are labels, the oracle"},
			{Name: "maps", Kind: pipeline.Metrics, Doc: "two-dimensional maps of rows of both domains, before and after the adaptation"},
			{Name: "changes", Kind: pipeline.Metrics, Doc: "labelled test rows of the target that only the chosen model or only direct classifies correctly"},
			{Name: "diagnostics", Kind: pipeline.Metrics, Doc: "warnings: adaptation that harms, classes of one domain only, quality of the choice"},
		},
	}, Defaults(), build)
}

// describe lists the methods for people.
func describe() string {
	var out []string
	for _, k := range method.Kinds() {
		out = append(out, k.Name+", "+k.Summary)
	}
	return strings.Join(out, "; ")
}

// stage is the kind with its parameters filled in.
type stage struct {
	Params
	setup *transfer.Setup // of the trainings by gradient descent, at the default rate; checks what all have in common
}

func build(p Params) (pipeline.Stage, error) {
	var errs []error
	refuse := func(wrong bool, path, hint, format string, args ...any) {
		if wrong {
			errs = append(errs, pipeline.ParamErrorHint(path, hint, format, args...))
		}
	}
	refuse(len(p.Method) == 0, "method", "known: "+strings.Join(method.Names(), ", "), "there is no method")
	labels := false
	for i, m := range p.Method {
		at := fmt.Sprintf("method[%d]", i)
		if len(p.Method) == 1 {
			at = "method"
		}
		k := m.Is()
		labels = labels || k.Labels
		refuse(slices.ContainsFunc(p.Method[:i], func(other method.Method) bool { return same(m, other) }), at, "", "%s is listed twice", m.Kind)
		refuse(k.Closed && p.Backbone != "", at, "extract features first, or take deep_coral, mmd, dann or another that learns by gradient descent", "%s is for features", m.Kind)
	}
	refuse(!p.Head.Converges(), "head", "take logistic, ridge, lda, centroid or knn; network describes what learns by gradient descent", "must be a classifier that is fitted to its end")
	refuse(p.Select.By == none && len(p.Method) > 1, "select", "select: im lets a validator choose", "%d methods are listed, and nothing chooses between them", len(p.Method))
	for i, rate := range p.LearningRate {
		refuse(slices.Contains(p.LearningRate[:i], rate), fmt.Sprintf("learning_rate[%d]", i), "list each rate once", "%v is listed already", rate)
	}
	refuse(p.Select.By == none && len(p.LearningRate) > 1, "select", "select: im lets a validator choose", "%d learning rates are listed, and nothing chooses between them", len(p.LearningRate))
	refuse(p.Select.By != none && len(p.Method) > 1 && !p.Select.chooses(overMethod), "select.over", "add method", "%d methods are listed, and nothing chooses between them", len(p.Method))
	refuse(p.Select.By != none && len(p.LearningRate) > 1 && !p.Select.chooses(overRate), "select.over", "add learning_rate", "%d learning rates are listed, and nothing chooses between them", len(p.LearningRate))
	refuse(p.Learning.EarlyStopping.Patience > 0, "early_stopping", "select: {by: im, over: [epoch]} chooses the epoch", "would end the training by the source's rows")
	refuse(p.MixUp > 0 || p.CutMix > 0, "mixup", "leave it out", "rows of two domains are not mixed")
	refuse(p.Accumulate > 1, "accumulate", "leave it out", "both domains must be in one batch")
	refuse(p.Sampling == strategy.BalancedSampling, "sampling", "leave it out", "batches are of both domains side by side")
	wrong, unused := p.withoutEffect()
	if p.TargetLabels > 0 && !labels {
		unused = append(unused, pipeline.ParamIdle("target_labels", "add the method fine_tune, or leave it out", "no method that is listed learns from labels of the target"))
	}
	errs = append(errs, wrong...)
	if d := p.Domains; d != nil {
		for port, names := range map[string][]string{SourcePort: d.Source, TargetPort: d.Target} {
			for i, name := range names {
				refuse(slices.Contains(names[:i], name), fmt.Sprintf("domains.%s[%d]", port, i), "list each domain once", "domain %q is listed already", name)
			}
		}
		for i, name := range d.Target {
			refuse(slices.Contains(d.Source, name), fmt.Sprintf("domains.target[%d]", i), "list a domain under source or under target, not under both", "domain %q is in the source already", name)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(append(errs, unused...)...)
	}
	setup, err := transfer.New(p.training(0))
	if err != nil {
		return nil, err
	}
	return &stage{p, setup}, errors.Join(unused...)
}

func same(a, b method.Method) bool { return a.Text() == b.Text() }

// training are the parameters of a training by gradient descent at a rate; 0 for the default one.
func (p Params) training(rate float64) transfer.Params {
	out := transfer.Defaults()
	out.Backbone, out.Weights, out.RandomSeed, out.Strategy = p.Backbone, p.Weights, p.RandomSeed, p.Strategy
	out.Target, out.Epochs, out.Learning, out.Standardise = transfer.Target(p.Label), p.Epochs, p.Learning, p.Standardise && p.Backbone == ""
	out.PrefixCache, out.PrefixPrecision, out.CheckpointEvery = p.PrefixCache, p.PrefixPrecision, p.CheckpointEvery
	if rate > 0 {
		out.LearningRate = &strategy.Rate{Value: rate}
	}
	return out
}

// Locate implements pipeline.Located.
func (s *stage) Locate(dir string) { s.setup.Locate(dir) }

// Identity implements pipeline.Identified.
func (s *stage) Identity() (map[string]string, error) { return s.setup.Identity() }

// Numerics implements pipeline.Numeric.
func (s *stage) Numerics() string { return s.setup.Numerics() }

// Notes implements pipeline.Noted.
func (s *stage) Notes() []string { return s.setup.Notes() }

// Connect implements pipeline.Connected: rows of one table must not be both of the source and of the target.
func (s *stage) Connect(inputs map[string][]pipeline.NodeOutput) error {
	source, target := inputs[SourcePort], inputs[TargetPort]
	if len(source) == 0 || len(target) == 0 || source[0] != target[0] || s.Domains != nil && len(s.Domains.Source) > 0 && len(s.Domains.Target) > 0 {
		return nil
	}
	return pipeline.ParamErrorHint("domains", "such as domains: {source: [photo], target: [sketch]}, or connect another stage to target",
		"source and target are both connected to %s, so domains must say which of its rows are of the source and which of the target", source[0].Node)
}

// Check implements pipeline.Stage.
func (s *stage) Check(inputs map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	source := inputs[SourcePort]
	if err := s.continues(len(inputs[ModelPort]) > 0); err != nil {
		return nil, err
	}
	if err := s.onFeatures(source, len(inputs[ModelPort]) > 0); err != nil {
		return nil, err
	}
	if len(inputs[TargetPort]) == 0 && (s.Domains == nil || len(s.Domains.Source) == 0 || len(s.Domains.Target) == 0) {
		return nil, pipeline.ParamErrorHint("domains", "such as domains: {source: [photo], target: [sketch]}, or connect the input target",
			"there is no input target, so domains must say which rows of the source's table are of the source and which of the target")
	}
	for _, port := range []string{TargetPort, TestPort} {
		for _, other := range inputs[port] {
			for _, key := range rows.Carried() {
				if source[0][key] != "" && other[key] != "" && source[0][key] != other[key] {
					return nil, fmt.Errorf("the input %s was prepared in another way than source: %s, not %s; both must be prepared and extracted in the same way", port, other[key], source[0][key])
				}
			}
		}
	}
	as := map[string][]pipeline.Traits{transfer.DataPort: source}
	if len(inputs[ModelPort]) > 0 {
		as[transfer.ModelPort] = inputs[ModelPort]
	}
	out, err := s.setup.Check(as)
	if err != nil {
		return nil, err
	}
	return map[string]pipeline.Traits{"model": out[transfer.ModelPort], "direct": out[transfer.ModelPort]}, nil
}
