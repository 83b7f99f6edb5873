package backbone

import (
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// variant is an architecture as one framework builds it. Layers have the same names in all variants.
type variant struct {
	name    string // of the framework
	build   func(b *nn.Builder, image nn.Value)
	namings []naming // how files of its weights call the layers, besides the names of this program
}

// Variants lists the ways in which the backbone can be built, by the frameworks that build it so, the
// default first. Weights of one are no good in another, even where their tensors have the same shapes.
func (b Backbone) Variants() []string {
	names := make([]string, len(b.variants))
	for i, v := range b.variants {
		names[i] = v.name
	}
	return names
}

// Variant returns the name of the variant that [Backbone.Network] builds, or "" for the default one.
func (b Backbone) Variant() string {
	if b.chosen == 0 {
		return ""
	}
	return b.variants[b.chosen].name
}

// As returns the backbone in the variant of that name, "" being the default.
func (b Backbone) As(name string) (Backbone, error) {
	at := slices.Index(b.Variants(), name)
	if name == "" {
		at = 0
	}
	if at < 0 {
		return Backbone{}, fmt.Errorf("%s has no variant %q (%s)", b.Name, name, params.DidYouMean(name, b.Variants()))
	}
	b.chosen = at
	return b, nil
}

// isOf tells whether a weight set is of the backbone's variant.
func (b Backbone) isOf(set WeightSet) bool {
	other, err := b.As(set.Variant)
	return err == nil && other.chosen == b.chosen
}
