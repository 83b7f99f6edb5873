package strategy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/adapter"
	"github.com/tlpipe/tlpipe/internal/transfer/head"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Adapters are small layers that learn in a backbone that does not.
type Adapters struct {
	Kind      string   `yaml:"kind" enum:"bottleneck,houlsby,pfeiffer,lora,bitfit" doc:"see adapter"`
	Reduction int      `yaml:"reduction" doc:"of bottlenecks"`
	Rank      int      `yaml:"rank" doc:"of lora"`
	Alpha     float64  `yaml:"alpha" doc:"of lora"`
	On        []string `yaml:"on" doc:"the layers that are adapted"`
}

// Words for adapters.
const (
	bottleneck = "bottleneck"
	houlsby    = "houlsby"
	pfeiffer   = "pfeiffer"
	lora       = "lora"
	bitfit     = "bitfit"
)

// adapters are those that the spelling says, or that are usual.
func (p spelling) adapters() *Adapters {
	a := &Adapters{Kind: p.Adapter, On: p.On}
	if a.Kind == "" {
		a.Kind = bottleneck
	}
	switch a.Kind {
	case lora:
		if a.Rank = p.Rank; a.Rank == 0 {
			a.Rank = 4
		}
		if a.Alpha = p.Alpha; a.Alpha == 0 {
			a.Alpha = float64(a.Rank)
		}
	case bitfit: // no layer is added
	default:
		if a.Reduction = p.Reduction; a.Reduction == 0 {
			a.Reduction = 8
		}
	}
	return a
}

// Apply puts the adapters into the backbone. Until they have learned something they change nothing. at is the path of the strategy
// in the parameters.
func (a Adapters) Apply(trunk *nn.Network, weights nn.Weights, seed uint64, at string) (*nn.Network, nn.Weights, error) {
	layers, err := a.Layers(trunk, at)
	if err != nil {
		return nil, nil, err
	}
	switch a.Kind {
	case bitfit:
		return trunk, weights, nil
	case lora:
		return adapter.LowRank{Rank: a.Rank, Alpha: a.Alpha}.Apply(trunk, weights, layers, seed)
	}
	return adapter.Bottleneck{Reduction: a.Reduction}.Apply(trunk, weights, layers, seed)
}

// Layers are those of the backbone that are adapted: those of On, or the usual ones.
//
//   - lora: of transformers the projections to queries and values (Hu et al. 2021, section 4.2); else all convolutions and dense layers.
//   - houlsby: behind the projection after attention and behind the feed-forward network, before the residuals (Houlsby et al. 2019).
//   - pfeiffer: behind the feed-forward network alone (Pfeiffer et al. 2021, arXiv:2005.00247).
//   - bottleneck: behind the blocks.
func (a Adapters) Layers(trunk *nn.Network, at string) ([]string, error) {
	if len(a.On) > 0 {
		return a.named(trunk, at)
	}
	usual := map[string][]string{
		lora: {"attention.query", "attention.value"}, houlsby: {"attention.out", "feed_forward.narrow"}, pfeiffer: {"feed_forward.narrow"},
	}[a.Kind]
	var found []string
	for _, l := range trunk.Layers() {
		if slices.ContainsFunc(usual, func(name string) bool { return endsIn(l.Name, name) }) {
			found = append(found, l.Name)
		}
	}
	switch {
	case a.Kind == bitfit:
		return nil, nil
	case a.Kind == bottleneck:
		return adapter.Blocks(trunk), nil
	case len(found) == 0 && a.Kind == lora:
		return adapter.Projections(trunk), nil
	case len(found) == 0:
		return nil, pipeline.ParamErrorHint(at+"adapter", "take bottleneck or lora, or name layers with on", "%s is for transformers", a.Kind)
	}
	return found, nil
}

// named are the layers that On names: by name, by pattern or by the end of their names.
func (a Adapters) named(trunk *nn.Network, at string) ([]string, error) {
	adaptable := adapter.Projections(trunk)
	if a.Kind != lora {
		adaptable = nil
		for _, l := range trunk.Layers() {
			if shape := trunk.Shape(l.Name); len(shape) > 0 {
				if _, isInput := l.Op.(nn.Input); !isInput {
					adaptable = append(adaptable, l.Name)
				}
			}
		}
	}
	marked := map[string]bool{}
	for i, pattern := range a.On {
		found := map[string]bool{}
		markMatches(trunk, pattern, found)
		any := false
		for _, name := range adaptable {
			if found[name] || endsIn(name, pattern) {
				marked[name], any = true, true
			}
		}
		if !any {
			return nil, pipeline.ParamErrorHint(fmt.Sprintf("%son[%d]", at, i), "such as query, attention.out or block3.*", "no layer that %s can adapt is called %q", a.Kind, pattern)
		}
	}
	var names []string
	for _, l := range trunk.Layers() {
		if marked[l.Name] {
			names = append(names, l.Name)
		}
	}
	return names, nil
}

// endsIn tells whether a name is an end of a layer's name, from one dot on.
func endsIn(layer, name string) bool { return layer == name || strings.HasSuffix(layer, "."+name) }

// transformerBlocks are the scopes at the top of a network's names that hold attention, from the input up.
func transformerBlocks(net *nn.Network) (blocks []string) {
	for _, l := range net.Layers() {
		if _, ok := l.Op.(nn.Attention); !ok || head.Contains(l.Name) {
			continue
		}
		if block := BlockOf(l.Name); !slices.Contains(blocks, block) {
			blocks = append(blocks, block)
		}
	}
	return blocks
}
