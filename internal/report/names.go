package report

import (
	"slices"
	"strings"
)

// seedAxis is the axis of a matrix along which nothing differs but chance.
const seedAxis = "seed"

// nodeName is the name of a node taken apart: "head[weights=random,seed=1]".
type nodeName struct {
	base   string
	axes   []string // in their order
	values map[string]string
}

func parseName(name string) nodeName {
	n := nodeName{base: name, values: map[string]string{}}
	at := strings.IndexByte(name, '[')
	if at <= 0 || !strings.HasSuffix(name, "]") {
		return n
	}
	n.base = name[:at]
	for _, pair := range strings.Split(name[at+1:len(name)-1], ",") {
		axis, value, ok := strings.Cut(pair, "=")
		if !ok {
			axis, value = "", pair
		}
		n.axes = append(n.axes, axis)
		n.values[axis] = value
	}
	return n
}

// withoutSeed takes the seed out of the name of a node: what is left names all
// of its instances that differ by chance only. The seed is "" if there is none.
func withoutSeed(name string) (rest, seed string) {
	n := parseName(name)
	seed, ok := n.values[seedAxis]
	if !ok {
		return name, ""
	}
	var pairs []string
	for _, axis := range n.axes {
		if axis != seedAxis {
			pairs = append(pairs, axis+"="+n.values[axis])
		}
	}
	if len(pairs) == 0 {
		return n.base, seed
	}
	return n.base + "[" + strings.Join(pairs, ",") + "]", seed
}

// shortNames shortens the names of nodes, "head[backbone=random]", to what sets
// them apart: "random", or "head · random" if the stage's name is wanted even
// where all have the same. Names that would become alike stay whole.
func shortNames(names []string, keepStage bool) map[string]string {
	parsed := make([]nodeName, len(names))
	bases := map[string]bool{}
	seen := map[string]map[string]bool{} // values of each axis
	for i, name := range names {
		parsed[i] = parseName(name)
		bases[parsed[i].base] = true
		for axis, value := range parsed[i].values {
			if seen[axis] == nil {
				seen[axis] = map[string]bool{}
			}
			seen[axis][value] = true
		}
	}

	short := map[string]string{}
	taken := map[string][]string{}
	for i, name := range names {
		p := parsed[i]
		var words []string
		if keepStage || len(bases) > 1 {
			words = append(words, p.base)
		}
		for _, axis := range p.axes {
			if len(seen[axis]) > 1 {
				words = append(words, coordinateInWords(axis, p.values[axis]))
			}
		}
		if len(words) == 0 {
			words = []string{p.base}
		}
		short[name] = strings.Join(words, " · ")
		if !slices.Contains(taken[short[name]], name) {
			taken[short[name]] = append(taken[short[name]], name)
		}
	}
	for _, alike := range taken {
		if len(alike) > 1 {
			for _, name := range alike {
				short[name] = name
			}
		}
	}
	return short
}
