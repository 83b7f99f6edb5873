package strategy

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/adapter"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/transfer/head"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Selection is which layers of a network a phase trains, and at which share of its rate.
type Selection struct {
	Rates     map[string]float64 // by layer, of those that learn
	BatchNorm train.BatchNormMode
	whole     map[string]bool // layers of the backbone that learn with all their parameters; nil: all that learn do. Others' biases learn
}

func (s Selection) Learns(layer string) bool { return s.Rates[layer] > 0 }

// Keeps tells whether a parameter stays as it is although its layer learns.
func (s Selection) Keeps(p nn.Parameter) bool {
	return s.whole != nil && !s.whole[p.Layer] && p.Role != nn.Bias && p.Role != nn.Beta && !head.Contains(p.Layer) && !adapter.Added(p.Layer)
}

// Rate is the factor on the phase's rate.
func (s Selection) Rate(layer string) float64 { return s.Rates[layer] }

// Norms is how a batch-norm that learns normalises: those of the head as usual.
func (s Selection) Norms(layer string) train.BatchNormMode {
	if head.Contains(layer) {
		return train.BatchStatistics
	}
	return s.BatchNorm
}

// Selects tells which layers of the network learn in the phase. at is the path of the phase in the
// parameters; names that mean no layer are errors there.
func (p Phase) Selects(net *nn.Network, at string) (Selection, error) {
	named := func(key string, patterns []string) (map[string]bool, error) {
		found := map[string]bool{}
		for i, pattern := range patterns {
			if !markMatches(net, pattern, found) {
				return nil, unknownLayer(net, fmt.Sprintf("%s%s[%d]", at, key, i), pattern)
			}
		}
		return found, nil
	}
	unfrozen, err := named("unfreeze", slices.DeleteFunc(slices.Clone(p.Unfreeze), func(word string) bool { return word == biases }))
	if err != nil {
		return Selection{}, err
	}
	frozen, err := named("freeze", p.Freeze)
	if err != nil {
		return Selection{}, err
	}
	top, err := p.top(net, at)
	if err != nil {
		return Selection{}, err
	}
	for _, name := range top {
		unfrozen[name] = true
	}
	own := map[string]float64{}
	for _, pattern := range slices.SortedFunc(maps.Keys(p.Rates), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	}) {
		found := map[string]bool{}
		if !markMatches(net, pattern, found) {
			return Selection{}, unknownLayer(net, at+"rates."+pattern, pattern)
		}
		for name := range found {
			unfrozen[name] = true
			own[name] = p.Rates[pattern] / p.LearningRate
		}
	}
	var whole map[string]bool
	if slices.Contains(p.Unfreeze, biases) {
		whole = maps.Clone(unfrozen)
		markMatches(net, all, unfrozen)
	}
	onlyFreeze := len(p.Freeze) > 0 && len(p.Unfreeze) == 0 && p.Top == 0 && len(p.Rates) == 0
	s := Selection{Rates: map[string]float64{}, whole: whole}
	if p.BatchNorm == FrozenNorms {
		s.BatchNorm = train.FixedStatistics
	}
	for _, l := range net.Layers() {
		_, isInput := l.Op.(nn.Input)
		if !isInput && !frozen[l.Name] && (head.Contains(l.Name) || adapter.Added(l.Name) || onlyFreeze || unfrozen[l.Name]) {
			s.Rates[l.Name] = 1
		}
	}
	p.slower(net, s)
	for name := range s.Rates {
		if head.Contains(name) && p.HeadRate > 0 {
			s.Rates[name] = p.HeadRate / p.LearningRate
		}
	}
	for name, rate := range own {
		if s.Learns(name) {
			s.Rates[name] = rate
		}
	}
	return s, nil
}

// usualBlocks is how many blocks of a transformer the presets' numbers of layers mean.
func usualBlocks(top int) int {
	if top < 40 { // the preset Tutorial's
		return 1
	}
	return 2
}

// top are the layers that Top means: the last so many that have weights or, of transformers, those of the last so many blocks and all
// above them.
func (p Phase) top(net *nn.Network, at string) ([]string, error) {
	weighted, blocks, n := layersWithWeights(net), transformerBlocks(net), p.Top
	if n == 0 {
		return nil, nil
	}
	if len(blocks) == 0 {
		if n > len(weighted) {
			return nil, pipeline.ParamError(at+"top", "the backbone has %d layers with weights, not %d", len(weighted), n)
		}
		return weighted[len(weighted)-n:], nil
	}
	if p.usual {
		n = min(usualBlocks(n), len(blocks))
	}
	if n > len(blocks) {
		return nil, pipeline.ParamErrorHint(at+"top", "of transformers it counts blocks", "the backbone has %d blocks, not %d", len(blocks), n)
	}
	lowest := blocks[len(blocks)-n]
	first := slices.IndexFunc(weighted, func(name string) bool { return BlockOf(name) == lowest })
	return weighted[first:], nil
}

// slower lets blocks learn the more slowly the lower they lie.
func (p Phase) slower(net *nn.Network, s Selection) {
	var blocks []string
	for _, l := range net.Layers() {
		if block := BlockOf(l.Name); s.Learns(l.Name) && len(net.LayerParameters(l)) > 0 && !slices.Contains(blocks, block) {
			blocks = append(blocks, block)
		}
	}
	for name := range s.Rates {
		above := 0 // blocks above this one
		if at := slices.Index(blocks, BlockOf(name)); at >= 0 {
			above = len(blocks) - 1 - at
		}
		s.Rates[name] = math.Pow(p.Decay, float64(above)) *
			math.Pow(p.Spread, -float64(above)/float64(max(len(blocks)-1, 1)))
	}
}

// BlockOf is the scope at the top of a layer's name.
func BlockOf(layer string) string {
	block, _, _ := strings.Cut(layer, ".")
	return block
}

// layersWithWeights lists the layers of the backbone that have weights, from the input up.
func layersWithWeights(net *nn.Network) (names []string) {
	for _, l := range net.Layers() {
		if len(net.LayerParameters(l)) > 0 && !head.Contains(l.Name) && !adapter.Added(l.Name) {
			names = append(names, l.Name)
		}
	}
	return names
}

// markMatches marks the layers that a name, a scope or a pattern means: the word all, all of the
// backbone. It tells whether there are any. A star in a pattern stands for any characters, dots
// included.
func markMatches(net *nn.Network, pattern string, found map[string]bool) bool {
	any := false
	for _, l := range net.Layers() {
		match := nn.InScope(l.Name, pattern) || pattern == all && !head.Contains(l.Name)
		if !match && strings.ContainsAny(pattern, "*?[") {
			match, _ = path.Match(pattern, l.Name) // a malformed pattern matches nothing
		}
		if match {
			found[l.Name], any = true, true
		}
	}
	return any
}

// unknownLayer is the error of a name that means no layer of the network.
func unknownLayer(net *nn.Network, at, name string) error {
	known := []string{all}
	for _, scope := range net.Scopes() {
		if !slices.ContainsFunc(net.Inputs(), func(l nn.Layer) bool { return l.Name == scope }) {
			known = append(known, scope)
		}
	}
	hint := "known: " + strings.Join(known, ", ")
	if strings.Contains(name, ".") {
		for _, l := range net.Layers() {
			known = append(known, l.Name)
		}
	}
	if near := params.Nearest(name, known); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return pipeline.ParamErrorHint(at, hint, "the network has no layer or block %q", name)
}
