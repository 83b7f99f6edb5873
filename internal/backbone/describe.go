package backbone

import (
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
)

// Description is what tables of backbones tell, with lower-case JSON keys.
type Description struct {
	Name            string `json:"name"`
	Title           string `json:"title"`
	Paper           string `json:"paper"`
	Height          int    `json:"height"` // pixels of the input described
	Width           int    `json:"width"`
	Parameters      int64  `json:"parameters"`       // numbers that were trained, classifier included
	TrunkParameters int64  `json:"parameters_trunk"` // without the classifier
	Statistics      int64  `json:"statistics"`       // running means and variances, which Keras counts as parameters
	MultiplyAdds    int64  `json:"multiply_adds"`    // of one picture, classifier included
	Depth           int    `json:"depth"`            // layers that have weights
	Features        int    `json:"features"`         // length of the pooled vector

	Preprocessing record.Preprocessing `json:"preprocessing"`
	Weights       []WeightsDescription `json:"weights"`
	Layers        []LayerDescription   `json:"layers"`
}

// WeightsDescription tells of a weight set.
type WeightsDescription struct {
	Name       string  `json:"name"`
	Licence    string  `json:"licence"`
	Provenance string  `json:"provenance"`
	Digest     string  `json:"digest,omitempty"`
	URL        string  `json:"url,omitempty"`
	Top1       float64 `json:"top1,omitempty"` // percent; absent if not published
	Top5       float64 `json:"top5,omitempty"`
	Figures    string  `json:"figures,omitempty"` // where they were published
	Here       bool    `json:"here"`              // whether they can be used without fetching anything
}

// LayerDescription tells of a layer. Names are paths: layers with a common beginning up to a dot
// form a block.
type LayerDescription struct {
	Name         string   `json:"name"`
	Op           string   `json:"op"`
	Inputs       []string `json:"inputs,omitempty"`
	Output       nn.Shape `json:"output"`
	Parameters   int64    `json:"parameters"`
	MultiplyAdds int64    `json:"multiply_adds"`
}

// Describe tells all about a backbone for pictures of a size; zero stands for the size of its
// default weights.
func (b Backbone) Describe(height, width int) (Description, error) {
	d := Description{Name: b.Name, Title: b.Title, Paper: b.Paper, Preprocessing: b.Preprocessing(), Height: height, Width: width}
	if height == 0 && width == 0 {
		d.Height, d.Width = d.Preprocessing.Height, d.Preprocessing.Width
	}
	net, err := b.Network(d.Height, d.Width)
	if err != nil {
		return Description{}, err
	}
	trunk, err := net.Cut(b.Pooled)
	if err != nil {
		return Description{}, err
	}
	all, trained := net.ParameterCount()
	d.Parameters, d.Statistics = trained, all-trained
	_, d.TrunkParameters = trunk.ParameterCount()
	d.MultiplyAdds = net.MultiplyAdds()
	d.Features = net.Shape(trunk.Output().Name).Size()
	for _, l := range net.Layers() {
		layer := LayerDescription{
			Name: l.Name, Op: l.Op.Kind(), Inputs: l.Inputs, Output: net.Shape(l.Name), MultiplyAdds: net.LayerMultiplyAdds(l),
		}
		for _, p := range net.LayerParameters(l) {
			if p.Role.Trained() {
				layer.Parameters += int64(p.Shape.Size())
			}
		}
		if layer.MultiplyAdds > 0 {
			d.Depth++
		}
		d.Layers = append(d.Layers, layer)
	}
	for _, s := range b.Weights {
		d.Weights = append(d.Weights, WeightsDescription{
			Name: s.Name, Licence: s.Licence, Provenance: s.Provenance, Digest: s.Digest,
			Top1: s.Top1, Top5: s.Top5, Figures: s.Figures, Here: s.Here(), URL: s.URL,
		})
	}
	return d, nil
}
