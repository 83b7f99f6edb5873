package method

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/pipeline/params"
	"gopkg.in/yaml.v3"
)

// Method is a way of adapting. YAML spells it as a word, or as a mapping with settings.
type Method struct {
	Kind         string    `yaml:"kind" doc:"the method's word, such as dann"`
	Weight       *float64  `yaml:"weight" min:"0" doc:"of deep_coral, mmd, jmmd, dann, cdan, mcc, self_training and consistency: factor of the adaptation's loss beside the cross-entropy on the source; 1 if not given"`
	Reversal     float64   `yaml:"reversal" above:"0" doc:"of dann and cdan: λ of the gradient reversal at the end of the training, towards which it rises as 2/(1+e^(−10p)) − 1 over its steps; 1 if not given"`
	Entropy      *bool     `yaml:"entropy" doc:"of cdan: rows count by how sure the answers to them are; true if not given"`
	Estimator    string    `yaml:"estimator" enum:"biased,unbiased,linear" doc:"of mmd and jmmd: how the discrepancy is estimated from a batch: biased, never negative; unbiased; linear, in time linear in the rows; biased if not given"`
	Kernels      string    `yaml:"kernels" enum:"library,original" doc:"of mmd and jmmd: widths of the five Gaussian kernels: library, as Transfer-Learning-Library has them; original, as the code of DAN does; library if not given"`
	Temperature  float64   `yaml:"temperature" above:"0" doc:"of mcc: that the logits are divided by; 2.5 if not given"`
	Rounds       int       `yaml:"rounds" min:"1" max:"100" doc:"of self_training and shot: how often the target's rows are labelled anew; 5 if not given. Of jda: 10"`
	Share        []float64 `yaml:"share" above:"0" max:"1" doc:"of self_training: share of the target's rows of each class, the most confident, that the first and the last round learn from; [0.2, 0.8] if not given"`
	PseudoLabels *float64  `yaml:"pseudo_labels" min:"0" doc:"of shot: factor of the cross-entropy on its own labels; 0.3 if not given"`
	Components   int       `yaml:"components" min:"1" doc:"of subspace, tca and jda: dimensions of the common space, never more than there are; 20 if not given, of jda 100"`
	Penalty      float64   `yaml:"penalty" above:"0" doc:"of coral: what is added to the variances; of tca and jda: the factor of the squared weights; 1 if not given"`
	Threshold    float64   `yaml:"threshold" json:",omitempty" above:"0" max:"1" doc:"of consistency: probability from which the answer to a row of the target is what its copies learn; 0.95 if not given"`
	Passes       int       `yaml:"passes" json:",omitempty" min:"1" doc:"of batch_norm and tent: over the rows of the target; 1, and no more"`
	Estimate     string    `yaml:"estimate" enum:"em,bbse" doc:"of prior_shift: how the target's class frequencies are estimated: em, expectation maximisation (Saerens et al. 2002); bbse, from the confusion on the source's validation rows (Lipton et al. 2018); em if not given"`
}

// Words of the methods.
const (
	Direct       = "direct"
	FineTune     = "fine_tune"
	Coral        = "coral"
	Subspace     = "subspace"
	TCA          = "tca"
	JDA          = "jda"
	DeepCoral    = "deep_coral"
	MMD          = "mmd"
	JMMD         = "jmmd"
	DANN         = "dann"
	CDAN         = "cdan"
	MCC          = "mcc"
	SelfTraining = "self_training"
	Consistency  = "consistency"
	BatchNorm    = "batch_norm"
	Tent         = "tent"
	SHOT         = "shot"
	PriorShift   = "prior_shift"
)

// Kind is what there is to know of a method's word.
type Kind struct {
	Name    string
	Summary string
	Closed  bool     // computed from features in closed form, without steps
	Labels  bool     // learns from labels of the target
	Copies  bool     // learns from copies of the target's rows that the stage augment made
	Takes   []string // settings, by their names in YAML
}

// Kinds lists the methods. A new one is its line here, and a case of [Plan.Turns] or of package align.
func Kinds() []Kind {
	return []Kind{
		{Name: Direct, Summary: "trained on the source alone: the baseline of every run"},
		{Name: FineTune, Labels: true, Summary: "direct, then on the target_labels labelled rows of the target"},
		{Name: Coral, Closed: true, Takes: []string{"penalty"}, Summary: "the source's features are given the second moments of the target's (Sun et al. 2016)"},
		{Name: Subspace, Closed: true, Takes: []string{"components"}, Summary: "the source's principal components are turned into the target's (Fernando et al. 2013)"},
		{Name: TCA, Closed: true, Takes: []string{"components", "penalty"}, Summary: "transfer component analysis (Pan et al. 2011)"},
		{Name: JDA, Closed: true, Takes: []string{"components", "penalty", "rounds"}, Summary: "joint distribution adaptation, with labels of its own (Long et al. 2013)"},
		{Name: DeepCoral, Takes: []string{"weight"}, Summary: "distance of the covariances of both domains' features as a loss (Sun and Saenko 2016)"},
		{Name: MMD, Takes: []string{"weight", "estimator", "kernels"}, Summary: "maximum mean discrepancy of the features under several kernels as a loss (DAN, Long et al. 2015)"},
		{Name: JMMD, Takes: []string{"weight", "estimator", "kernels"}, Summary: "that of features and answers jointly (JAN, Long et al. 2017)"},
		{Name: DANN, Takes: []string{"weight", "reversal"}, Summary: "a discriminator of the domains, against which the features learn through a gradient reversal (Ganin et al. 2016)"},
		{Name: CDAN, Takes: []string{"weight", "reversal", "entropy"}, Summary: "a discriminator of the products of features and answers (Long et al. 2018)"},
		{Name: MCC, Takes: []string{"weight", "temperature"}, Summary: "minimum class confusion of the answers to the target (Jin et al. 2020)"},
		{Name: SelfTraining, Takes: []string{"weight", "rounds", "share"}, Summary: "direct, then on the target's rows too, labelled by the network itself: the most confident of each class, more in each round (Zou et al. 2018)"},
		{Name: Consistency, Copies: true, Takes: []string{"weight", "threshold"}, Summary: "direct, then on the target's rows too: what the network is sure of for a row is what it learns for copies of it that the stage augment made (FixMatch, Sohn et al. 2020)"},
		{Name: SHOT, Takes: []string{"rounds", "pseudo_labels"}, Summary: "source hypothesis transfer, after direct or from the input model: without the source, the classifier stays, the features learn to make sure and varied answers to the target (Liang et al. 2020)"},
		{Name: BatchNorm, Takes: []string{"passes"}, Summary: "direct, then the batch-norms are given the statistics of the target (Li et al. 2016)"},
		{Name: Tent, Takes: []string{"passes"}, Summary: "that, and scale and shift of the batch-norms learn to make the answers to the target sure, in one pass over its rows (Wang et al. 2021)"},
		{Name: PriorShift, Takes: []string{"estimate"}, Summary: "direct, corrected for the target's class frequencies, which are estimated"},
	}
}

// Find returns the kind of that word.
func Find(name string) (Kind, bool) {
	kinds := Kinds()
	at := slices.IndexFunc(kinds, func(k Kind) bool { return k.Name == name })
	if at < 0 {
		return Kind{}, false
	}
	return kinds[at], true
}

// Names are the words of the methods.
func Names() (names []string) {
	for _, k := range Kinds() {
		names = append(names, k.Name)
	}
	return names
}

// Of is the method of a word, with its settings as they were published.
func Of(kind string) Method { return Method{Kind: kind}.complete() }

// Is tells what there is to know of the method's word.
func (m Method) Is() Kind {
	k, _ := Find(m.Kind)
	return k
}

// Text is the method with its settings, as part of a recipe.
func (m Method) Text() string {
	text, err := json.Marshal(m)
	if err != nil { // numbers and words always marshal
		panic(err)
	}
	return string(text)
}

// complete fills in the settings that were left out.
func (m Method) complete() Method {
	takes := func(setting string) bool { return slices.Contains(m.Is().Takes, setting) }
	if takes("weight") && m.Weight == nil {
		one := 1.0
		m.Weight = &one
	}
	if takes("entropy") && m.Entropy == nil {
		yes := true
		m.Entropy = &yes
	}
	if takes("reversal") {
		m.Reversal = cmp.Or(m.Reversal, 1)
	}
	if takes("estimator") {
		m.Estimator, m.Kernels = cmp.Or(m.Estimator, "biased"), cmp.Or(m.Kernels, "library")
	}
	if takes("temperature") {
		m.Temperature = cmp.Or(m.Temperature, 2.5)
	}
	if takes("rounds") {
		rounds := 5
		if m.Kind == JDA {
			rounds = 10
		}
		m.Rounds = cmp.Or(m.Rounds, rounds)
	}
	if takes("share") && len(m.Share) == 0 {
		m.Share = []float64{0.2, 0.8}
	}
	if takes("threshold") {
		m.Threshold = cmp.Or(m.Threshold, 0.95)
	}
	if takes("passes") {
		m.Passes = cmp.Or(m.Passes, 1)
	}
	if takes("pseudo_labels") {
		if m.PseudoLabels == nil {
			share := 0.3
			m.PseudoLabels = &share
		}
	}
	if takes("components") {
		components := 20
		if m.Kind == JDA {
			components = 100
		}
		m.Components = cmp.Or(m.Components, components)
	}
	if takes("penalty") {
		m.Penalty = cmp.Or(m.Penalty, 1)
	}
	if takes("estimate") {
		m.Estimate = cmp.Or(m.Estimate, "em")
	}
	return m
}

// given names the settings that are given.
func (m Method) given() (names []string) {
	for _, setting := range []struct {
		name  string
		given bool
	}{
		{"weight", m.Weight != nil}, {"reversal", m.Reversal > 0}, {"entropy", m.Entropy != nil}, {"estimator", m.Estimator != ""},
		{"kernels", m.Kernels != ""}, {"temperature", m.Temperature > 0}, {"rounds", m.Rounds > 0}, {"share", len(m.Share) > 0},
		{"pseudo_labels", m.PseudoLabels != nil}, {"threshold", m.Threshold > 0}, {"passes", m.Passes > 0}, {"components", m.Components > 0}, {"penalty", m.Penalty > 0},
		{"estimate", m.Estimate != ""},
	} {
		if setting.given {
			names = append(names, setting.name)
		}
	}
	return names
}

// DecodeParam implements params.Decoder.
func (m *Method) DecodeParam(d *params.Decoding, node *yaml.Node) {
	unknown := func(at *yaml.Node, word string) {
		d.Errorf(at, cmp.Or(params.DidYouMean(word, Names()), "known: "+strings.Join(Names(), ", ")), "%q is no method", word)
	}
	if node.Kind == yaml.ScalarNode {
		if _, ok := Find(node.Value); !ok {
			unknown(node, node.Value)
			return
		}
		*m = Of(node.Value)
		return
	}
	type plain Method
	var p plain
	d.Into(node, &p)
	kind, ok := Find(p.Kind)
	if !ok {
		if params.Locate(node, "kind") == node {
			d.Errorf(node, "known: "+strings.Join(Names(), ", "), `key "kind" is required`)
		} else {
			d.At("kind", func() { unknown(params.Locate(node, "kind"), p.Kind) })
		}
		return
	}
	for _, setting := range Method(p).given() {
		if !slices.Contains(kind.Takes, setting) {
			hint := "it has no settings"
			if len(kind.Takes) > 0 {
				hint = "it has: " + strings.Join(kind.Takes, ", ")
			}
			d.At(setting, func() { d.Errorf(params.Locate(node, setting), hint, "%s has no %s", p.Kind, setting) })
		}
	}
	if p.Passes > 1 && slices.Contains(kind.Takes, "passes") {
		d.At("passes", func() {
			d.Errorf(params.Locate(node, "passes"), "leave it out", "%s goes over the target once: more passes have ruined models (67.6 to 34.8 %% right, github.com/DequanWang/tent#7)", p.Kind)
		})
	}
	if n := len(p.Share); n > 0 && (n != 2 || p.Share[0] > p.Share[1]) {
		d.At("share", func() {
			d.Errorf(params.Locate(node, "share"), "such as [0.2, 0.8]", "must be two numbers that do not fall")
		})
	}
	*m = Method(p).complete()
}

// ParamSchema implements params.Schemer.
func (Method) ParamSchema(inner map[string]any) map[string]any {
	if properties, ok := inner["properties"].(map[string]any); ok {
		if kind, ok := properties["kind"].(map[string]any); ok {
			kind["enum"] = Names()
		}
	}
	return map[string]any{"anyOf": []any{map[string]any{"enum": Names()}, inner}}
}
