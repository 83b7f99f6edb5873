package transfer

import (
	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/head"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Objective is what a training on rows of one class makes smaller: the cross-entropy of a classifier, or an objective of metric learning,
// which trains an embedding in which rows of a class are near each other. The classifier then stands on the embedding and learns
// beside it, without a part in it. YAML spells it a word, or a mapping.
type Objective struct {
	Kind        string   `yaml:"kind" enum:"cross_entropy,supervised_contrastive,triplet,prototypical,arcface,cosface" doc:"cross_entropy, or of metric learning: supervised_contrastive (Khosla et al. 2020), triplet with semi-hard negatives (Schroff et al. 2015), prototypical (Snell et al. 2017), arcface (Deng et al. 2019), cosface (Wang et al. 2018)"`
	Width       int      `yaml:"width" min:"2" max:"4096" doc:"numbers of the embedding; 128 if not given"`
	PerClass    int      `yaml:"per_class" min:"2" max:"1024" doc:"rows of one class in a batch; 4 if not given. A batch has batch_size / per_class classes, at least 2"`
	Temperature *float64 `yaml:"temperature" above:"0" doc:"of supervised_contrastive and prototypical; 0.1 if not given"`
	Margin      *float64 `yaml:"margin" above:"0" max:"3" doc:"of triplet (0.2 if not given, of squared distances), arcface (0.5, an angle in radians) and cosface (0.35, of cosines)"`
	Scale       *float64 `yaml:"scale" above:"0" max:"1000" doc:"of arcface and cosface: what cosines are multiplied by; 16 if not given"`
}

// Kinds of objectives.
const (
	plainObjective        = "cross_entropy"
	supervisedContrastive = "supervised_contrastive"
	triplet               = "triplet"
	prototypical          = "prototypical"
	arcFace               = "arcface"
	cosFace               = "cosface"
)

func objectiveWords() []string {
	return []string{plainObjective, supervisedContrastive, triplet, prototypical, arcFace, cosFace}
}

// metric tells whether it is an objective of metric learning.
func (o Objective) metric() bool { return o.Kind != "" && o.Kind != plainObjective }

// DecodeParam implements params.Decoder.
func (o *Objective) DecodeParam(d *params.Decoding, node *yaml.Node) {
	type plain Objective
	p := plain{}
	if node.Kind == yaml.ScalarNode {
		p.Kind = node.Value
		known := false
		for _, word := range objectiveWords() {
			known = known || word == p.Kind
		}
		if !known {
			d.Errorf(node, params.DidYouMean(node.Value, objectiveWords()), "%q is no objective", node.Value)
			return
		}
	} else {
		d.Into(node, &p)
	}
	if p.Kind == "" {
		d.Errorf(node, "such as kind: triplet", "the kind of the objective is missing")
		return
	}
	takers := map[string][]string{
		"temperature": {supervisedContrastive, prototypical}, "margin": {triplet, arcFace, cosFace}, "scale": {arcFace, cosFace},
		"width": objectiveWords()[1:], "per_class": objectiveWords()[1:],
	}
	for _, name := range []string{"width", "per_class", "temperature", "margin", "scale"} {
		value := given(node, name)
		fits := false
		for _, kind := range takers[name] {
			fits = fits || kind == p.Kind
		}
		if value != nil && !fits {
			d.Errorf(value, "leave it out", "%s has no %s", p.Kind, name)
		}
	}
	if p.Kind != plainObjective {
		p.Width, p.PerClass = orInt(p.Width, 128), orInt(p.PerClass, 4)
	}
	*o = Objective(p)
}

// ParamSchema implements params.Schemer.
func (Objective) ParamSchema(inner map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{map[string]any{"enum": objectiveWords()}, inner}}
}

func orInt(x, otherwise int) int {
	if x == 0 {
		return otherwise
	}
	return x
}

func orFloat(x *float64, otherwise float64) float64 {
	if x == nil {
		return otherwise
	}
	return *x
}

// of is the objective on an embedding of so many classes.
func (o Objective) of(layer string, classes int, seed uint64) objective.Objective {
	switch o.Kind {
	case supervisedContrastive:
		return objective.SupervisedContrastive{Output: layer, Temperature: orFloat(o.Temperature, 0.1)}
	case triplet:
		return objective.Triplet{Output: layer, Margin: orFloat(o.Margin, 0.2)}
	case prototypical:
		return objective.Prototypical{Output: layer, Temperature: orFloat(o.Temperature, 0.1)}
	}
	m := objective.Margin{Output: layer, Classes: classes, Width: o.Width, Cosine: o.Kind == cosFace, Scale: orFloat(o.Scale, 16), Seed: seed, Margin: orFloat(o.Margin, 0.5)}
	if m.Cosine {
		m.Margin = orFloat(o.Margin, 0.35)
	}
	return m
}

// check refuses what does not go with metric learning.
func (o Objective) check(p Params) (errs []error) {
	if !o.metric() {
		return nil
	}
	refuse := func(wrong bool, path, hint, format string, args ...any) {
		if wrong {
			errs = append(errs, pipeline.ParamErrorHint(path, hint, format, args...))
		}
	}
	refuse(p.Head.Converges(), "head", "take head: linear", "%s is fitted to its end, and objective: %s trains an embedding below the classifier", p.Head.Kind, o.Kind)
	refuse(p.Start.Converged(), "start", "leave it out", "logistic is for a head without an embedding")
	refuse(p.MixUp > 0, "mixup", "leave it out", "objective: %s compares rows of one class, and mixed rows have no one class", o.Kind)
	refuse(p.CutMix > 0, "cutmix", "leave it out", "objective: %s compares rows of one class, and mixed rows have no one class", o.Kind)
	_, several := p.Target.Several()
	refuse(several, "target", "name one column", "objective: %s is for one class a row", o.Kind)
	return errs
}

// checkMetric refuses trainings that have an objective of their own.
func (s *Setup) checkMetric(inputs map[string][]pipeline.Traits) error {
	switch {
	case !s.Objective.metric():
		return nil
	case len(inputs[ModelPort]) > 0:
		return pipeline.ParamErrorHint("objective", "leave it out, or the input model", "a model that is trained further keeps its layers: it has no embedding to train")
	case s.guidance != nil || s.adaptation != nil || s.scheme != nil || s.zeros:
		return pipeline.ParamErrorHint("objective", "leave it out", "is for the stage finetune")
	}
	return nil
}

// embedding is the layer with the embedding.
func (t *training) embedding() string {
	if _, ok := t.net.Find(head.Scope + "." + head.UnitLayer); ok {
		return head.Scope + "." + head.UnitLayer
	}
	return head.UnitLayer
}

// metricObjective is metric learning with the classifier beside it. An evaluation has the loss of the classifier alone.
func (t *training) metricObjective(labels objective.Objective) objective.Objective {
	return objective.Sum{
		{Objective: labels},
		{Name: "metric", Objective: t.Objective.of(t.embedding(), len(t.data.Classes), t.task.Seed), TrainingOnly: true},
	}
}

// checkTask refuses rows that have not one class.
func (o Objective) checkTask(task record.Task) error {
	if o.metric() && task != record.SingleLabel {
		return pipeline.ParamErrorHint("objective", "leave it out", "%s is for one class a row, and the data have another target", o.Kind)
	}
	return nil
}
