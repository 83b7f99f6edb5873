package report

import (
	"slices"
	"strings"
)

// shortNames shortens the names of nodes, "head[weights=random]", to what sets
// them apart: "random", or "head · random" if the stage's name is wanted even
// where all have the same. Names that would become alike stay whole.
func shortNames(names []string, keepStage bool) map[string]string {
	type parts struct {
		base   string
		axes   []string
		values map[string]string
	}
	parsed := make([]parts, len(names))
	bases := map[string]bool{}
	seen := map[string]map[string]bool{} // values of each axis, "" where it is absent
	for i, name := range names {
		p := parts{base: name, values: map[string]string{}}
		if at := strings.IndexByte(name, '['); at > 0 && strings.HasSuffix(name, "]") {
			p.base = name[:at]
			for _, pair := range strings.Split(name[at+1:len(name)-1], ",") {
				axis, value, ok := strings.Cut(pair, "=")
				if !ok {
					axis, value = "", pair
				}
				p.axes = append(p.axes, axis)
				p.values[axis] = value
				if seen[axis] == nil {
					seen[axis] = map[string]bool{}
				}
			}
		}
		parsed[i] = p
		bases[p.base] = true
	}
	for axis, values := range seen {
		for _, p := range parsed {
			if value, ok := p.values[axis]; ok {
				values[value] = true
			}
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
