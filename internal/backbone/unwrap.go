package backbone

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/stored"
)

// wrappers are what modules that hold another put before its names: DataParallel, Lightning modules, torch.compile, and the
// names that people give a network within their own; OpenCLIP's, before timm's names.
func wrappers() []string {
	return []string{"module.", "_orig_mod.", "model.", "net.", "network.", "backbone.", "encoder.", "base_model.", "dinov2.", "visual.trunk."}
}

// mostWrappings is more ways of wrapping than a file of weights has.
const mostWrappings = 16

// unwrapped returns the file's tensors with the names that they have without wrappers: those under the wrapper whose names are
// the backbone's, and the others as they are.
func (b Backbone) unwrapped(tensors []stored.Tensor) ([]stored.Tensor, error) {
	found := map[string]int{} // tensors by all that stands before their names
	for _, t := range tensors {
		for rest := t.Name; len(found) <= mostWrappings; { // a name may be megabytes of wrappers
			at := slices.IndexFunc(wrappers(), func(w string) bool { return strings.HasPrefix(rest, w) })
			if at < 0 {
				break
			}
			rest = rest[len(wrappers()[at]):]
			found[t.Name[:len(t.Name)-len(rest)]]++
		}
	}
	if len(found) == 0 || len(found) > mostWrappings {
		return tensors, nil
	}
	best, most := "", 0
	consider := func(prefix string) error {
		names := without(tensors, prefix)
		for _, variant := range b.Variants() {
			f, err := b.fitOf(names, variant)
			if err != nil {
				return err
			}
			if f.found > most {
				best, most = prefix, f.found
			}
		}
		return nil
	}
	if err := consider(""); err != nil {
		return tensors, err
	}
	for _, prefix := range slices.SortedFunc(maps.Keys(found), func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) }) {
		if err := consider(prefix); err != nil {
			return tensors, err
		}
	}
	return without(tensors, best), nil
}

// without renames the tensors whose names start with a prefix. One that would then have the name of another keeps its own.
func without(tensors []stored.Tensor, prefix string) []stored.Tensor {
	if prefix == "" {
		return tensors
	}
	taken := byName(tensors)
	out := slices.Clone(tensors)
	for i, t := range out {
		if name, ok := strings.CutPrefix(t.Name, prefix); ok {
			if _, there := taken[name]; !there {
				out[i].Name = name
			}
		}
	}
	return out
}

// foreign tells of a tensor that the backbone does not know whether it is of another part of a model, such as a head of its own
// or a loss: nothing of the network that is read stands in a part of that name.
func (n naming) foreign(name string, net *nn.Network) bool {
	if n.order == kerasOrder {
		layer, _, _ := strings.Cut(name, "/")
		return slices.ContainsFunc([]string{"dense", "predictions", "logits", "head", "classifier", "output", "fc"}, func(word string) bool {
			return layer == word || strings.HasPrefix(layer, word+"_")
		})
	}
	part, _, _ := strings.Cut(name, ".")
	return !slices.ContainsFunc(net.Parameters(), func(p nn.Parameter) bool {
		own, _, _ := strings.Cut(n.tensor(p), ".")
		return own == part
	})
}
