package prefix

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
)

// Prefix is the part of a network below all that a phase trains. What it puts out is computed once
// for each row, and every epoch starts from there. The zero value is none: epochs start from the
// input.
type Prefix struct {
	Cut       string // the layer whose output is cached
	Precision string // float32 or bfloat16
	Size      int    // numbers of a row
	Rows      int64
	Why       string // it was chosen so, for people
}

// Precisions of cached activations.
const (
	Float32  = "float32"
	BFloat16 = "bfloat16"
)

// Bytes is what the prefix takes in the cache, but for some headers.
func (p Prefix) Bytes() int64 {
	each := int64(4)
	if p.Precision == BFloat16 {
		each = 2
	}
	return p.Rows * int64(p.Size) * each
}

// worthwhile is how many multiply-adds a cached byte must save: a processor does about so many while
// a byte is read back.
const worthwhile = 64

// Budget is what prefixes may be.
type Budget struct {
	Bytes     int64  // that all take together, at most
	Precision string // at which activations rest
	Maps      bool   // only maps will do, as for cutmix
	AtMost    bool   // rows may take less than the network's shapes say: it is bound to the greatest length
}

// Choose finds the cut of each phase, for so many rows; what one takes of the budget, those after it have no
// more, and what one has cached costs those after it nothing.
func (b Budget) Choose(net *nn.Network, phases []strategy.Selection, rows int64) []Prefix {
	c := chooser{net: net, rows: rows, precision: b.Precision, budget: b.Bytes, maps: b.Maps, atMost: b.AtMost, cached: map[string]bool{}}
	out := make([]Prefix, len(phases))
	for i, selected := range phases {
		p := c.choose(selected)
		if p.Cut != "" && !c.cached[p.Cut] {
			c.cached[p.Cut] = true
			c.budget -= p.Bytes()
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
	atMost    bool            // see Budget
	cached    map[string]bool // cuts that an earlier phase chose
}

// choose finds the cut of a phase: of the passages below all that learns whose activations fit the
// budget and save more than reading them back takes, the one that saves most.
func (c chooser) choose(s strategy.Selection) Prefix {
	candidates := CutsBelow(c.net, s)
	if len(candidates) == 0 {
		return Prefix{Why: "the lowest layers learn: every epoch starts from the " + c.input()}
	}
	slices.SortFunc(candidates, func(a, b nn.Passage) int {
		return cmp.Or(cmp.Compare(b.MultiplyAdds, a.MultiplyAdds), cmp.Compare(a.Shape.Size(), b.Shape.Size()))
	})
	refused := "" // why the best one will not do
	for _, passage := range candidates {
		p := Prefix{Cut: passage.Layer, Precision: c.precision, Size: passage.Shape.Size(), Rows: c.rows}
		if why := c.refuses(p, passage); why != "" {
			refused = cmp.Or(refused, fmt.Sprintf("those of %s %s", p.Cut, why))
			continue
		}
		size := inBytes(p.Bytes())
		if c.atMost {
			size += " at most"
		}
		p.Why = fmt.Sprintf("activations of %s: %s, which saves %.0f %% of the multiply-adds of a forward pass in every epoch after the first",
			p.Cut, size, 100*float64(passage.MultiplyAdds)/float64(c.net.MultiplyAdds()))
		if refused != "" {
			p.Why += "; " + refused
		}
		return p
	}
	return Prefix{Why: "every epoch starts from the " + c.input() + ", no activations are cached: " + refused}
}

// input is what epochs start from that start from no activations.
func (c chooser) input() string {
	if c.atMost {
		return "tokens"
	}
	return "pixels"
}

// refuses tells why a cut will not do; "" if it will.
func (c chooser) refuses(p Prefix, passage nn.Passage) string {
	switch {
	case c.maps && len(passage.Shape) != 3:
		return "are no maps, which cutmix needs"
	case p.Bytes() > c.budget && !c.cached[p.Cut]:
		return fmt.Sprintf("take %s, and %s are left of the budget", inBytes(p.Bytes()), inBytes(max(c.budget, 0)))
	case passage.MultiplyAdds < worthwhile*p.Bytes()/max(c.rows, 1):
		return "are not worth reading back"
	}
	return ""
}

// CutsBelow lists the passages below all that learns, from the input up. Those whose output only goes
// into a batch-norm or an activation are left out: the layers are computed in one with these.
func CutsBelow(net *nn.Network, s strategy.Selection) (out []nn.Passage) {
	below := map[string]bool{}
	takers := map[string][]nn.Op{}
	frozen := true
	for _, l := range net.Layers() {
		frozen = frozen && !(s.Learns(l.Name) && (net.Random(l) || len(net.LayerParameters(l)) > 0))
		below[l.Name] = frozen
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
