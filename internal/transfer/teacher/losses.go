package teacher

import (
	"maps"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Losses are what a student learns of its teachers, beside its labels: a weighted sum. YAML spells it as a word, which stands for the
// usual settings, or as a mapping.
type Losses struct {
	Labels *float64   `yaml:"labels" min:"0" doc:"weight of the cross-entropy with the labels; 1 - alpha if kd is given, else 1"`
	KD     *KD        `yaml:"kd" doc:"the teacher's softened probabilities (Hinton et al. 2015)"`
	DKD    *DKD       `yaml:"dkd" doc:"decoupled: the probability of the class, and those of the others, apart (Zhao et al. 2022)"`
	FitNet *Hints     `yaml:"fitnet" doc:"hints: values of layers, brought to the teacher's shape by a regressor that learns too (Romero et al. 2015)"`
	AT     *Attention `yaml:"at" doc:"attention transfer: where maps are large (Zagoruyko and Komodakis 2017)"`
	RKD    *Relations `yaml:"rkd" doc:"relations: distances and angles of the pictures of a batch (Park et al. 2019)"`
}

// KD are the settings of knowledge distillation.
type KD struct {
	Temperature float64 `yaml:"temperature" above:"0" doc:"what the logits are divided by; 2 if not given"`
	Alpha       float64 `yaml:"alpha" above:"0" doc:"weight of the loss, which is multiplied by the square of the temperature; the labels have 1 - alpha if not given otherwise; 0.5 if not given"`
}

// DKD are the settings of decoupled knowledge distillation.
type DKD struct {
	Temperature float64 `yaml:"temperature" above:"0" doc:"what the logits are divided by; 4 if not given"`
	Alpha       float64 `yaml:"alpha" min:"0" doc:"weight of the divergence of the probabilities of the class; 1 if not given"`
	Beta        float64 `yaml:"beta" min:"0" doc:"weight of the divergence among the other classes; 8 if not given"`
	WarmUp      int     `yaml:"warm_up" min:"0" doc:"epochs over which the loss grows to its weight, linearly; 0 if not given; the paper has 20 of 240"`
}

// Hints are the settings of hints.
type Hints struct {
	Weight float64           `yaml:"weight" above:"0" doc:"of the sum over the layers; 100 if not given"`
	Layers map[string]string `yaml:"layers" doc:"layer of the student: layer of the teacher; if not given, the last map of both"`
}

// Attention are the settings of attention transfer.
type Attention struct {
	Weight float64           `yaml:"weight" above:"0" doc:"of the sum over the layers; 1000 if not given"`
	Layers map[string]string `yaml:"layers" doc:"layer of the student: layer of the teacher, both maps; if not given, the last map of both"`
}

// Relations are the settings of relational distillation.
type Relations struct {
	Distance float64 `yaml:"distance" min:"0" doc:"weight of the distances of pairs; 25 if not given"`
	Angle    float64 `yaml:"angle" min:"0" doc:"weight of the angles of triplets; 50 if not given"`
	Student  string  `yaml:"student" doc:"layer whose values are compared; if not given, what the head takes"`
	Teacher  string  `yaml:"teacher" doc:"layer of the teacher; if not given, what its head takes"`
}

// usualKD was chosen on validation rows. The settings that Tian et al. publish, temperature 4 and alpha 0.9, are for hundreds of
// epochs: where students learn for few, they lost more to the same student alone.
func usualKD() KD { return KD{Temperature: 2, Alpha: 0.5} }

// Published settings: Tian et al. 2020 (arXiv:1910.10699) and the papers.
func publishedDKD() DKD             { return DKD{Temperature: 4, Alpha: 1, Beta: 8} }
func publishedHints() Hints         { return Hints{Weight: 100} }
func publishedAttention() Attention { return Attention{Weight: 1000} }
func publishedRelations() Relations { return Relations{Distance: 25, Angle: 50} }

// Usual is the loss where none is given.
func Usual() Losses {
	kd := usualKD()
	return Losses{KD: &kd}
}

// words are the losses that a word alone stands for.
func words() map[string]Losses {
	dkd, hints, attention, relations := publishedDKD(), publishedHints(), publishedAttention(), publishedRelations()
	return map[string]Losses{"kd": Usual(), "dkd": {DKD: &dkd}, "fitnet": {FitNet: &hints}, "at": {AT: &attention}, "rkd": {RKD: &relations}}
}

// DecodeParam implements params.Decoder.
func (l *Losses) DecodeParam(d *params.Decoding, node *yaml.Node) {
	if node.Kind == yaml.ScalarNode {
		known := words()
		found, ok := known[node.Value]
		if !ok {
			d.Errorf(node, params.DidYouMean(node.Value, slices.Sorted(maps.Keys(known))), "%q is no loss", node.Value)
			return
		}
		*l = found
		return
	}
	type plain Losses
	var p plain
	d.Into(node, &p)
	*l = Losses(p)
	if l.KD == nil && l.DKD == nil && l.FitNet == nil && l.AT == nil && l.RKD == nil {
		d.Errorf(node, "such as {kd: {temperature: 2, alpha: 0.5}}", "nothing of the teacher is learned")
	}
	if l.KD != nil && l.Labels == nil && l.KD.Alpha > 1 {
		d.Errorf(node, "say labels, the weight of their loss", "alpha %v leaves the labels less than nothing", l.KD.Alpha)
	}
	if l.DKD != nil && l.DKD.Alpha+l.DKD.Beta == 0 {
		d.Errorf(node, "", "dkd with alpha 0 and beta 0 is nothing")
	}
	if l.RKD != nil && l.RKD.Distance+l.RKD.Angle == 0 {
		d.Errorf(node, "", "rkd with distance 0 and angle 0 is nothing")
	}
}

// ParamSchema implements params.Schemer.
func (Losses) ParamSchema(inner map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{map[string]any{"enum": slices.Sorted(maps.Keys(words()))}, inner}}
}

// DecodeParam implements params.Decoder.
func (k *KD) DecodeParam(d *params.Decoding, node *yaml.Node) {
	type plain KD
	p := plain(usualKD())
	d.Into(node, &p)
	*k = KD(p)
}

// DecodeParam implements params.Decoder.
func (k *DKD) DecodeParam(d *params.Decoding, node *yaml.Node) {
	type plain DKD
	p := plain(publishedDKD())
	d.Into(node, &p)
	*k = DKD(p)
}

// DecodeParam implements params.Decoder.
func (h *Hints) DecodeParam(d *params.Decoding, node *yaml.Node) {
	type plain Hints
	p := plain(publishedHints())
	d.Into(node, &p)
	*h = Hints(p)
}

// DecodeParam implements params.Decoder.
func (a *Attention) DecodeParam(d *params.Decoding, node *yaml.Node) {
	type plain Attention
	p := plain(publishedAttention())
	d.Into(node, &p)
	*a = Attention(p)
}

// DecodeParam implements params.Decoder.
func (r *Relations) DecodeParam(d *params.Decoding, node *yaml.Node) {
	type plain Relations
	p := plain(publishedRelations())
	d.Into(node, &p)
	*r = Relations(p)
}

// LabelWeight is that of the labels' cross-entropy.
func (l Losses) LabelWeight() float64 {
	switch {
	case l.Labels != nil:
		return *l.Labels
	case l.KD != nil:
		return 1 - l.KD.Alpha
	}
	return 1
}

// Temperature is that of the softened distributions that are shown.
func (l Losses) Temperature() float64 {
	switch {
	case l.KD != nil:
		return l.KD.Temperature
	case l.DKD != nil:
		return l.DKD.Temperature
	}
	return publishedDKD().Temperature
}

// Mixes tells whether the losses are of the teacher's logits alone, so that mixed pictures can be learned: the teacher's
// distributions are mixed as the pictures are.
func (l Losses) Mixes() bool { return l.DKD == nil && l.FitNet == nil && l.AT == nil && l.RKD == nil }

// OfStudent lists the layers of the student that the losses name, by the parameter that names them.
func (l Losses) OfStudent() map[string][]string {
	named := map[string][]string{}
	if l.FitNet != nil {
		named["fitnet.layers"] = slices.Sorted(maps.Keys(l.FitNet.Layers))
	}
	if l.AT != nil {
		named["at.layers"] = slices.Sorted(maps.Keys(l.AT.Layers))
	}
	if l.RKD != nil && l.RKD.Student != "" {
		named["rkd.student"] = []string{l.RKD.Student}
	}
	return named
}

// Unlabelled tells whether rows without a label are learned of: dkd needs the class.
func (l Losses) Unlabelled() bool { return l.KD != nil || l.Layers() }

// Layers tells whether layers of the student are compared with those of a teacher.
func (l Losses) Layers() bool { return l.FitNet != nil || l.AT != nil || l.RKD != nil }
