package backbone

import (
	"errors"
	"fmt"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/stored"
	"github.com/tlpipe/tlpipe/internal/weightfile"
)

// WeightSet is one training of a backbone.
type WeightSet struct {
	Name       string // as users write it: "imagenet"
	Digest     string // hexadecimal SHA-256 of the file, or as many digits as its publisher tells, or ""
	Licence    string // SPDX
	Provenance string // who trained it, and how it came here
	URL        string // where the file is; "" if it is in this program

	// Accuracy on ImageNet's validation set as published, in percent; 0 if it was not.
	Top1, Top5 float64
	Figures    string // where Top1 and Top5 were published

	Classes       func() []string // names of the logits, in order; nil if they have none
	Preprocessing record.Preprocessing

	embedded func() []byte // a safetensors file; nil if it is not in this program
}

// Here tells whether the weights are in this program.
func (s WeightSet) Here() bool { return s.embedded != nil }

// LoadSet reads a weight set for the backbone's network. Weights that are not here are an error that
// tells where they are.
func (b Backbone) LoadSet(set WeightSet, net *nn.Network) (nn.Weights, error) {
	if !set.Here() {
		return nil, fmt.Errorf("weights %q of %s are not in this program: fetch %s, save its tensors as .safetensors and give that file's path as weights", set.Name, b.Name, set.URL)
	}
	file, err := weightfile.Parse(set.embedded())
	var w nn.Weights
	if err == nil {
		w, err = b.load(file.Tensors, net)
	}
	if err != nil {
		return nil, fmt.Errorf("weights %q of %s: %w", set.Name, b.Name, err)
	}
	return w, nil
}

// LoadFile reads weights for the backbone's network, or a part of it, from a file of any format that
// [weightfile.Open] knows, whose tensors have the names of this program or of one of the frameworks
// that it knows. The error lists
// every tensor that is missing, not known or of the wrong shape, as a *[nn.WeightsError].
func (b Backbone) LoadFile(path string, net *nn.Network) (_ nn.Weights, err error) {
	file, err := weightfile.Open(path)
	if err != nil {
		return nil, fmt.Errorf("weights of %s: %w", b.Name, err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w, err := b.load(file.Tensors, net)
	if err != nil {
		return nil, fmt.Errorf("weights of %s from %s: %w", b.Name, path, err)
	}
	return w, nil
}

// Random draws weights for the backbone's network, as [nn.Network.InitialiseFrozen] does.
func (b Backbone) Random(net *nn.Network, seed uint64) nn.Weights { return net.InitialiseFrozen(seed) }

// load reads the tensors that net needs. Tensors of the backbone that net, which may be a part of
// it, does not need are left alone.
func (b Backbone) load(tensors []stored.Tensor, net *nn.Network) (nn.Weights, error) {
	size := max(b.Preprocessing().Height, b.Preprocessing().Width)
	whole, err := b.Network(size, size)
	if err != nil {
		return nil, err
	}
	inFile := map[string]stored.Tensor{}
	for _, info := range tensors {
		inFile[info.Name] = info
	}
	names, err := b.recognise(inFile, whole)
	if err != nil {
		return nil, err
	}

	known := map[string]bool{}
	for _, p := range whole.Parameters() {
		known[names.tensor(p)] = true
	}
	var wrong nn.WeightsError
	for _, info := range tensors {
		if !known[info.Name] && !names.ignored(info.Name) {
			wrong.Extra = append(wrong.Extra, info.Name)
		}
	}
	w := nn.Weights{}
	for _, l := range net.Layers() {
		for _, p := range net.LayerParameters(l) {
			name := names.tensor(p)
			info, ok := inFile[name]
			if !ok {
				wrong.Missing = append(wrong.Missing, name)
				continue
			}
			layout := names.layout(net, l, p)
			if !layout.fits(info.Shape) {
				wrong.Misshaped = append(wrong.Misshaped, fmt.Sprintf("%s: shape %v, want %v", name, nn.Shape(info.Shape), layout.shape))
				continue
			}
			err := info.Use(func(data []float32) {
				if !finite(data) {
					wrong.NotFinite = append(wrong.NotFinite, name)
					return
				}
				w[p.Name()] = nn.Tensor{Shape: p.Shape, Data: layout.apply(data)}
			})
			if err != nil {
				return nil, err
			}
		}
	}
	if len(wrong.Missing)+len(wrong.Extra)+len(wrong.Misshaped)+len(wrong.NotFinite) > 0 {
		return nil, &wrong
	}
	return w, nil
}

// recognise finds the naming that fits most of the file's tensors.
func (b Backbone) recognise(inFile map[string]stored.Tensor, whole *nn.Network) (naming, error) {
	var best naming
	most := 0
	for _, names := range append([]naming{native()}, b.namings...) {
		found := 0
		for _, p := range whole.Parameters() {
			if _, ok := inFile[names.tensor(p)]; ok {
				found++
			}
		}
		if found > most {
			best, most = names, found
		}
	}
	if most == 0 {
		titles := native().title
		for _, names := range b.namings {
			titles += ", " + names.title
		}
		return naming{}, fmt.Errorf("none of its %d tensors has a name that this architecture has (names known: those of %s)", len(inFile), titles)
	}
	return best, nil
}

func finite(data []float32) bool {
	for _, x := range data {
		if x-x != 0 {
			return false
		}
	}
	return true
}
