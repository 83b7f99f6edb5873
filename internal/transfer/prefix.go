package transfer

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
)

// prefix is the part of a network below all that a phase trains. What it puts out is computed once
// for each row, and every epoch starts from there. The zero value is none: epochs start from the
// pixels.
type prefix struct {
	cut       string // the layer whose output is cached
	precision string // float32 or bfloat16
	size      int    // numbers of a row
	rows      int64
	why       string // it was chosen so, for people
}

// Precisions of cached activations.
const (
	prefixFloat32  = "float32"
	prefixBFloat16 = "bfloat16"
)

// bytes is what the prefix takes in the cache, but for some headers.
func (p prefix) bytes() int64 {
	each := int64(4)
	if p.precision == prefixBFloat16 {
		each = 2
	}
	return p.rows * int64(p.size) * each
}

// worthwhile is how many multiply-adds a cached byte must save: a processor does about so many while
// a byte is read back.
const worthwhile = 64

// choosePrefixes finds the cut of each phase; what one takes of the budget, those after it have no
// more, and what one has cached costs those after it nothing.
func (s *Setup) choosePrefixes(net *nn.Network, phases []selection, rows int64) []prefix {
	c := chooser{net: net, rows: rows, precision: s.PrefixPrecision, budget: int64(s.PrefixCache), maps: s.CutMix > 0, cached: map[string]bool{}}
	out := make([]prefix, len(phases))
	for i, selected := range phases {
		p := c.choose(selected)
		if p.cut != "" && !c.cached[p.cut] {
			c.cached[p.cut] = true
			c.budget -= p.bytes()
		}
		out[i] = p
	}
	return out
}

// chooser chooses cuts.
type chooser struct {
	net       *nn.Network
	rows      int64
	precision string
	budget    int64           // bytes that are left
	maps      bool            // only maps will do, as for cutmix
	cached    map[string]bool // cuts that an earlier phase chose
}

// choose finds the cut of a phase: of the passages below all that learns whose activations fit the
// budget and save more than reading them back takes, the one that saves most.
func (c chooser) choose(s selection) prefix {
	candidates := cutsBelow(c.net, s)
	if len(candidates) == 0 {
		return prefix{why: "the lowest layers learn: every epoch starts from the pixels"}
	}
	slices.SortFunc(candidates, func(a, b nn.Passage) int {
		return cmp.Or(cmp.Compare(b.MultiplyAdds, a.MultiplyAdds), cmp.Compare(a.Shape.Size(), b.Shape.Size()))
	})
	refused := "" // why the best one will not do
	for _, passage := range candidates {
		p := prefix{cut: passage.Layer, precision: c.precision, size: passage.Shape.Size(), rows: c.rows}
		if why := c.refuses(p, passage); why != "" {
			refused = cmp.Or(refused, fmt.Sprintf("those of %s %s", p.cut, why))
			continue
		}
		p.why = fmt.Sprintf("activations of %s: %s, which saves %.0f %% of the multiply-adds of a forward pass in every epoch after the first",
			p.cut, inBytes(p.bytes()), 100*float64(passage.MultiplyAdds)/float64(c.net.MultiplyAdds()))
		if refused != "" {
			p.why += "; " + refused
		}
		return p
	}
	return prefix{why: "every epoch starts from the pixels, no activations are cached: " + refused}
}

// refuses tells why a cut will not do; "" if it will.
func (c chooser) refuses(p prefix, passage nn.Passage) string {
	switch {
	case c.maps && len(passage.Shape) != 3:
		return "are no maps, which cutmix needs"
	case p.bytes() > c.budget && !c.cached[p.cut]:
		return fmt.Sprintf("take %s, and %s are left of the budget", inBytes(p.bytes()), inBytes(max(c.budget, 0)))
	case passage.MultiplyAdds < worthwhile*p.bytes()/max(c.rows, 1):
		return "are not worth reading back"
	}
	return ""
}

// cutsBelow lists the passages below all that learns, from the input up. Those whose output only goes
// into a batch-norm or an activation are left out: the layers are computed in one with these.
func cutsBelow(net *nn.Network, s selection) (out []nn.Passage) {
	below := map[string]bool{}
	takers := map[string][]nn.Op{}
	still := true
	for _, l := range net.Layers() {
		_, drops := l.Op.(nn.Dropout)
		still = still && !(s.learns(l.Name) && (drops || len(net.LayerParameters(l)) > 0))
		below[l.Name] = still
		for _, input := range l.Inputs {
			takers[input] = append(takers[input], l.Op)
		}
	}
	for _, p := range net.Cuts() {
		joined := slices.ContainsFunc(takers[p.Layer], func(op nn.Op) bool {
			switch op.(type) {
			case nn.BatchNorm, nn.Activation:
				return true
			}
			return false
		})
		if below[p.Layer] && !joined && p.MultiplyAdds > 0 {
			out = append(out, p)
		}
	}
	return out
}

// inBytes is a size for people.
func inBytes(n int64) string {
	const unit = 1000
	for i, name := range []string{"GB", "MB", "kB"} {
		if size := math.Pow(unit, float64(3-i)); float64(n) >= size {
			return fmt.Sprintf("%.3g %s", float64(n)/size, name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
