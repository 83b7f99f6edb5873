package report

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Bounds of a feature map: points, and numbers held in memory for them.
const (
	maxPoints       = 700
	maxPointNumbers = 8 << 20
)

// maxDomains bounds how many domains a map can be filtered by.
const maxDomains = 8

// point is a row of a features table.
type point struct {
	id, label, domain, split string
	hash                     uint64
	features                 []float32
}

// sampler keeps the points with the smallest hashes of their ids: a sample
// that is the same for all features of the same pictures.
type sampler []point

func (s sampler) Len() int           { return len(s) }
func (s sampler) Less(i, j int) bool { return s[i].hash > s[j].hash }
func (s sampler) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *sampler) Push(x any)        { *s = append(*s, x.(point)) }
func (s *sampler) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}

// samplePoints reads a sample of a features table, sorted by id, without
// augmented copies.
func samplePoints(ctx context.Context, in pipeline.Input) ([]point, error) {
	var s sampler
	for rec, err := range in.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		tensors, err := record.TensorColumn(rec, record.Feature)
		if err != nil {
			return nil, fmt.Errorf("features of %s: %w", in.Name(), err)
		}
		most := max(2, min(maxPoints, maxPointNumbers/max(tensors.Size(), 1)))
		for i := range int(rec.NumRows()) {
			if copyAt(rec, i) != 0 || tensors.IsNull(i) {
				continue
			}
			id := textAt(rec, record.ID, i)
			hash := hashOf(id)
			if len(s) >= most && hash >= s[0].hash {
				continue
			}
			p := point{
				id: id, label: textAt(rec, record.Label, i), domain: textAt(rec, record.Domain, i),
				split: textAt(rec, record.Split, i), hash: hash, features: tensors.AppendFloats(nil, i),
			}
			if len(s) > 0 && len(p.features) != len(s[0].features) {
				return nil, fmt.Errorf("features of %s have %d values in one row and %d in another", in.Name(), len(s[0].features), len(p.features))
			}
			if heap.Push(&s, p); len(s) > most {
				heap.Pop(&s)
			}
		}
	}
	slices.SortFunc(s, func(a, b point) int { return cmp.Compare(a.id, b.id) })
	return s, nil
}

func hashOf(id string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(id))
	// FNV's high bits hardly differ between short texts with a common start.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	return x
}

// mapsView shows features in the plane, one map for each table.
type mapsView struct {
	Maps    []mapView
	Legend  []legendEntry
	Domains []legendEntry // to choose from; none if there is but one
	Sampled int           // points shown; 0 if all are
}

type mapView struct {
	Name, Full string
	Panel      panel
}

type legendEntry struct {
	Name   string
	Number int
	Symbol int
	Colour int
}

// newMapsView projects each features table by itself.
func newMapsView(ctx context.Context, tables []pipeline.Input) (*mapsView, error) {
	samples := make([][]point, len(tables))
	names := make([]string, len(tables))
	labels, domains := map[string]bool{}, map[string]bool{}
	view := &mapsView{}
	for i, in := range tables {
		var err error
		if samples[i], err = samplePoints(ctx, in); err != nil {
			return nil, err
		}
		names[i] = in.Name()
		for _, p := range samples[i] {
			labels[p.label] = true
			domains[p.domain] = true
		}
		if n := len(samples[i]); n == maxPoints || n > 0 && n == maxPointNumbers/len(samples[i][0].features) {
			view.Sampled = n
		}
	}
	view.Legend = legend(slices.Sorted(maps.Keys(labels)), "no label")
	if len(domains) > 1 && len(domains) <= maxDomains {
		view.Domains = legend(slices.Sorted(maps.Keys(domains)), "no domain")
	}
	short := shortNames(names, false)
	for i, in := range tables {
		if len(samples[i]) > 1 {
			view.Maps = append(view.Maps, mapView{short[in.Name()], in.Name(), view.draw(in.Name(), samples[i])})
		}
	}
	return view, nil
}

func (v *mapsView) draw(name string, sample []point) panel {
	p, shareX, shareY := inPlane(sample, func(i int) mark {
		entry := v.entry(v.Legend, sample[i].label, "no label")
		return mark{Symbol: entry.Symbol, Class: fmt.Sprintf("k%d c%d d%d", entry.Colour, entry.Number, v.entry(v.Domains, sample[i].domain, "no domain").Number)}
	})
	p.Label = fmt.Sprintf("%s of %s in the plane of their first two principal components, which explain %s and %s of the variance. Symbols and colours show classes.",
		plural(int64(len(sample)), "row"), name, shareX, shareY)
	return p
}

// inPlane draws points in the plane of their first two principal components, and tells the shares of the variance that these
// explain. look gives the symbol and the class of a point.
func inPlane(sample []point, look func(i int) mark) (p panel, shareX, shareY string) {
	rows := make([][]float32, len(sample))
	for i, p := range sample {
		rows[i] = p.features
	}
	plane := project(rows)
	x, y := emptyScale(), emptyScale()
	for i := range sample {
		x, y = x.widen(plane.x[i]), y.widen(plane.y[i])
	}
	x, y = x.pad(), y.pad()
	shareX, shareY = percent(plane.shareX), percent(plane.shareY)
	p = panel{Square: true, XName: fmt.Sprintf("first component, %s of the variance", shareX), YName: fmt.Sprintf("second, %s", shareY)}
	for i, row := range sample {
		m := look(i)
		m.X, m.Y, m.Title = x.at(plane.x[i]), y.at(plane.y[i]), row.title()
		p.Marks = append(p.Marks, m)
	}
	return p, shareX, shareY
}

// title says which row a point is.
func (p point) title() string {
	out := p.id
	if p.label != "" && p.label != p.id {
		out += " · " + p.label
	}
	if p.split != "" {
		out += " · " + p.split
	}
	return out
}

func (v *mapsView) entry(entries []legendEntry, name, unnamed string) legendEntry {
	if name == "" {
		name = unnamed
	}
	for _, e := range entries {
		if e.Name == name {
			return e
		}
	}
	return legendEntry{}
}

// symbols and colours are how many of each the page has.
const (
	symbols = 8
	colours = 8
)

// legend gives each name a symbol and a colour; together they repeat only
// after 64 names.
func legend(names []string, unnamed string) []legendEntry {
	out := make([]legendEntry, len(names))
	for i, name := range names {
		if name == "" {
			name = unnamed
		}
		out[i] = legendEntry{Name: name, Number: i, Symbol: (i + i/colours) % symbols, Colour: i % colours}
	}
	return out
}

// pad leaves a margin around the points.
func (s scale) pad() scale {
	if s.high <= s.low {
		return scale{s.low - 1, s.high + 1}
	}
	margin := 0.04 * (s.high - s.low)
	return scale{s.low - margin, s.high + margin}
}
