package backbone

import (
	"strings"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
)

// Description is what tables of backbones tell, with lower-case JSON keys.
type Description struct {
	Name     string   `json:"name"`
	Title    string   `json:"title"`
	Paper    string   `json:"paper"`
	Variant  string   `json:"variant,omitempty"`  // the one described
	Variants []string `json:"variants,omitempty"` // that there are, the default first
	Height   int      `json:"height"`             // pixels of the input described
	Width    int      `json:"width"`
	Sizes
	Features int `json:"features"` // length of the pooled vector

	Preprocessing record.Preprocessing `json:"preprocessing"`
	Weights       []WeightsDescription `json:"weights"` // of all variants
	Layers        []LayerDescription   `json:"layers"`
}

// Sizes are the numbers by which networks are compared.
type Sizes struct {
	Parameters      int64 `json:"parameters"`       // numbers that were trained, classifier included
	TrunkParameters int64 `json:"parameters_trunk"` // without the classifier
	Statistics      int64 `json:"statistics"`       // running means and variances, which Keras counts as parameters
	MultiplyAdds    int64 `json:"multiply_adds"`    // of one picture, classifier included
	Depth           int   `json:"depth"`            // layers that have weights
}

// WeightsDescription tells of a weight set.
type WeightsDescription struct {
	Name       string  `json:"name"`
	Variant    string  `json:"variant,omitempty"` // of the backbone, that they are for
	Licence    string  `json:"licence"`
	Provenance string  `json:"provenance"`
	Digest     string  `json:"digest,omitempty"` // SHA-256 of the file, or its first digits
	MD5        string  `json:"md5,omitempty"`
	URL        string  `json:"url,omitempty"`
	Top1       float64 `json:"top1,omitempty"` // percent; absent if not published
	Top5       float64 `json:"top5,omitempty"`
	Figures    string  `json:"figures,omitempty"` // where they were published
	Here       bool    `json:"here"`              // whether they can be used without fetching anything
	Sizes              // of the variant, for pictures of the size that these weights want

	Preprocessing record.Preprocessing `json:"preprocessing"`
}

// LayerDescription tells of a layer, or of a block: the layers whose names have a beginning up to a
// dot in common. Names are paths.
type LayerDescription struct {
	Name         string   `json:"name"`
	Op           string   `json:"op"` // "" of a block
	Inputs       []string `json:"inputs,omitempty"`
	Output       nn.Shape `json:"output"` // of a block, that of its last layer
	Parameters   int64    `json:"parameters"`
	MultiplyAdds int64    `json:"multiply_adds"`
}

// Describe tells all about a backbone for pictures of a size; zero stands for the size that the
// weights of its variant want.
func (b Backbone) Describe(height, width int) (Description, error) {
	d := Description{
		Name: b.Name, Title: b.Title, Paper: b.Paper, Preprocessing: b.Preprocessing(), Height: height, Width: width,
		Variant: b.variants[b.chosen].name,
	}
	if !b.AnyPixels {
		d.Variants = b.Variants()
	}
	if height == 0 && width == 0 {
		d.Height, d.Width = d.Preprocessing.Height, d.Preprocessing.Width
	}
	net, err := b.Network(d.Height, d.Width)
	if err != nil {
		return Description{}, err
	}
	if d.Sizes, err = b.sizes(net); err != nil {
		return Description{}, err
	}
	pooled, err := b.Layer(net, "pooled")
	if err != nil {
		return Description{}, err
	}
	d.Features = net.Shape(pooled).Size()
	for _, l := range net.Layers() {
		d.Layers = append(d.Layers, describeLayer(net, l))
	}
	for _, s := range b.Weights {
		w, err := b.describeWeights(s)
		if err != nil {
			return Description{}, err
		}
		d.Weights = append(d.Weights, w)
	}
	return d, nil
}

// sizes measures the backbone's network.
func (b Backbone) sizes(net *nn.Network) (Sizes, error) {
	trunk, err := net.Cut(b.Pooled)
	if err != nil {
		return Sizes{}, err
	}
	all, trained := net.ParameterCount()
	s := Sizes{Parameters: trained, Statistics: all - trained, MultiplyAdds: net.MultiplyAdds()}
	_, s.TrunkParameters = trunk.ParameterCount()
	for _, l := range net.Layers() {
		if net.LayerMultiplyAdds(l) > 0 && len(net.LayerParameters(l)) > 0 {
			s.Depth++
		}
	}
	return s, nil
}

func (b Backbone) describeWeights(s WeightSet) (WeightsDescription, error) {
	w := WeightsDescription{
		Name: s.Name, Licence: s.Licence, Provenance: s.Provenance, Digest: s.Digest, MD5: s.MD5, URL: s.URL,
		Top1: s.Top1, Top5: s.Top5, Figures: s.Figures, Here: s.Here(), Preprocessing: b.For(s),
	}
	b, err := b.As(s.Variant)
	if err != nil {
		return w, err
	}
	w.Variant = b.variants[b.chosen].name
	net, err := b.Network(s.Preprocessing.Height, s.Preprocessing.Width)
	if err != nil {
		return w, err
	}
	w.Sizes, err = b.sizes(net)
	return w, err
}

func describeLayer(net *nn.Network, l nn.Layer) LayerDescription {
	d := LayerDescription{
		Name: l.Name, Op: l.Op.Kind(), Inputs: l.Inputs, Output: net.Shape(l.Name), MultiplyAdds: net.LayerMultiplyAdds(l),
	}
	for _, p := range net.LayerParameters(l) {
		if p.Role.Trained() {
			d.Parameters += int64(p.Shape.Size())
		}
	}
	return d
}

// Tree lists blocks and layers, a block before what it is made of, down to so many levels: 1 are the
// blocks and layers that lie in no other. A block has the parameters and multiply-adds of its layers.
func (d Description) Tree(levels int) []LayerDescription {
	var rows []LayerDescription
	at := map[string]int{}
	for _, l := range d.Layers {
		for level, end := 1, 0; level <= levels && end < len(l.Name); level++ {
			end = len(l.Name)
			if parts := strings.SplitN(l.Name, ".", level+1); len(parts) > level {
				end -= len(parts[level]) + 1
			}
			name := l.Name[:end]
			row, seen := at[name]
			if !seen {
				row = len(rows)
				at[name] = row
				rows = append(rows, LayerDescription{Name: name})
			}
			r := &rows[row]
			r.Output = l.Output
			r.Parameters += l.Parameters
			r.MultiplyAdds += l.MultiplyAdds
			if end == len(l.Name) {
				r.Op, r.Inputs = l.Op, l.Inputs
			}
		}
	}
	return rows
}
