package backbone

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/sourcegraph/conc/iter"

	"github.com/tlpipe/tlpipe/internal/backbone/store"
	"github.com/tlpipe/tlpipe/internal/digest"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/stored"
	"github.com/tlpipe/tlpipe/internal/weightfile"
)

// WeightSet is one training of a backbone.
type WeightSet struct {
	Name       string // as users write it: "imagenet"
	Variant    string // of the backbone, to be built for it; "" for the default one
	Digest     string // hexadecimal SHA-256 of the file, or as many digits as its publisher tells, or ""
	MD5        string // hexadecimal, of a file whose publisher tells no SHA-256
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

// centrePixels are size×size pixels from the centre of pictures whose shorter side was scaled to
// resize, in a named normalisation.
func centrePixels(normalise string, size, resize int, filter string) record.Preprocessing {
	mean, std, channels, _ := record.Normalisation(normalise)
	return record.Preprocessing{
		Height: size, Width: size,
		Resize: record.ResizeShortest, ResizeTo: resize, Filter: filter,
		Channels: channels, Mean: mean, Std: std, Normalise: normalise,
	}
}

// Here tells whether the weights can be used without fetching anything: they are in this program, or
// in the user's store.
func (s WeightSet) Here() bool {
	_, ok := s.stored()
	return ok || s.embedded != nil
}

// largestFile bounds a file of a backbone's weights, in bytes: parameters in float64 with the state of an optimizer, four
// times over, and 256 MB for whatever else a checkpoint holds.
func (b Backbone) largestFile() int64 {
	net, err := b.Network(b.Preprocessing().Height, b.Preprocessing().Width)
	if err != nil {
		return 0
	}
	all, _ := net.ParameterCount()
	return 1<<28 + 4*3*8*all
}

// Source is where the weights' file is, and what its publisher says of it.
func (s WeightSet) Source() store.Source {
	return store.Source{URL: s.URL, Expected: digest.Expected{SHA256: s.Digest, MD5: s.MD5}}
}

// stored returns the weights' file in the user's store.
func (s WeightSet) stored() (store.File, bool) {
	if s.URL == "" {
		return store.File{}, false
	}
	there, err := store.Default()
	if err != nil {
		return store.File{}, false
	}
	return there.Find(s.Source())
}

// storedAs returns the file of that SHA-256 in the user's store.
func storedAs(sum string) (store.File, bool) {
	there, err := store.Default()
	if err != nil {
		return store.File{}, false
	}
	return there.WithDigest(sum)
}

// LoadSet reads a weight set for the backbone's network, which is built in the set's variant. Weights
// that are not here are an error that tells where they are.
func (b Backbone) LoadSet(set WeightSet, net *nn.Network) (nn.Weights, error) {
	if !b.isOf(set) {
		return nil, fmt.Errorf("weights %q of %s are for another variant than the %s one", set.Name, b.Name, b.variants[b.chosen].name)
	}
	if f, ok := set.stored(); ok {
		return b.LoadFile(f.Path, net)
	}
	if set.embedded == nil {
		return nil, fmt.Errorf("weights %q of %s are not here: `tlpipe models pull %s` fetches them", set.Name, b.Name, b.reference(set))
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

// notFrom tells that a file does not hold the backbone's weights.
func (b Backbone) notFrom(path string, err error) error {
	if index, ok := weightfile.IndexOf(path); ok {
		err = fmt.Errorf("%w; by its name it is one of several files of a model: give their index, %s, instead", err, filepath.Base(index))
	}
	return fmt.Errorf("weights of %s from %s: %w", b.Name, path, err)
}

// ForFile returns the backbone in the variant that the names of a file's tensors tell. If they are
// those of more than one, as timm's may be, that is an error: [Backbone.As] has to say which.
func (b Backbone) ForFile(path string) (_ Backbone, err error) {
	file, err := weightfile.Open(path)
	if err != nil {
		return Backbone{}, fmt.Errorf("weights of %s: %w", b.Name, err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	tensors, err := b.unwrapped(file.Tensors)
	if err != nil {
		return Backbone{}, b.notFrom(path, err)
	}
	v, err := b.variantOf(tensors)
	if err != nil {
		return Backbone{}, b.notFrom(path, err)
	}
	return v, nil
}

// LoadFile reads weights for the backbone's network, or a part of it, from a file of any format that
// [weightfile.Open] knows, whose tensors have the names of this program or of one of the frameworks
// that build the variant. The error lists every tensor that is missing, not known or of the wrong
// shape, as a *[nn.WeightsError].
func (b Backbone) LoadFile(path string, net *nn.Network) (_ nn.Weights, err error) {
	if b.Imported {
		return b.loadImported(net)
	}
	file, err := weightfile.Open(path)
	if err != nil {
		return nil, fmt.Errorf("weights of %s: %w", b.Name, err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	tensors, err := b.unwrapped(file.Tensors)
	var w nn.Weights
	if err == nil {
		w, err = b.load(tensors, net)
	}
	if err != nil {
		return nil, b.notFrom(path, err)
	}
	return w, nil
}

// LeftOut lists the tensors of a file that are not the backbone's: a head of another task, a loss. The classifier that the
// backbone itself has is not among them.
func (b Backbone) LeftOut(path string) (names []string, err error) {
	if b.Imported {
		return nil, nil
	}
	file, err := weightfile.Open(path)
	if err != nil {
		return nil, fmt.Errorf("weights of %s: %w", b.Name, err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	tensors, err := b.unwrapped(file.Tensors)
	if err != nil {
		return nil, err
	}
	whole, err := b.whole()
	if err != nil {
		return nil, err
	}
	called, err := b.namingOf(tensors, whole)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, p := range whole.Parameters() {
		known[called.tensor(p)] = true
	}
	for _, t := range tensors {
		if !known[t.Name] && !called.ignored(t.Name) {
			names = append(names, t.Name)
		}
	}
	return names, nil
}

// Random draws weights for the backbone's network, as [nn.Network.InitialiseFrozen] does; for one that is spelled out, which
// learns them, as [nn.Network.Initialise].
func (b Backbone) Random(net *nn.Network, seed uint64) nn.Weights {
	if b.Spelled {
		return net.Initialise(seed)
	}
	return net.InitialiseFrozen(seed)
}

// load reads the tensors that net needs. Tensors of the backbone that net, which may be a part of
// it, does not need are left alone.
func (b Backbone) load(tensors []stored.Tensor, net *nn.Network) (nn.Weights, error) {
	inFile := byName(tensors)
	whole, err := b.whole()
	if err != nil {
		return nil, err
	}
	names, err := b.namingOf(tensors, whole)
	if err != nil {
		return nil, err
	}

	known := map[string]bool{}
	for _, p := range whole.Parameters() {
		known[names.tensor(p)] = true
	}
	var wrong nn.WeightsError
	var foreign []string
	for _, info := range tensors {
		switch {
		case known[info.Name] || names.ignored(info.Name):
		case names.foreign(info.Name, net):
			foreign = append(foreign, info.Name)
		default:
			wrong.Extra = append(wrong.Extra, info.Name)
		}
	}
	var wanted []reading
	var zeros []nn.Parameter
	for _, l := range net.Layers() {
		for _, p := range net.LayerParameters(l) {
			name := names.tensor(p)
			info, ok := inFile[name]
			if !ok && l.Name == names.bare && p.Role == nn.Bias {
				zeros = append(zeros, p)
				continue
			}
			if !ok {
				wrong.Missing = append(wrong.Missing, name)
				continue
			}
			layout := names.layout(net, l, p)
			if !layout.fits(info.Shape) {
				wrong.Misshaped = append(wrong.Misshaped, fmt.Sprintf("%s: shape %v, want %v", name, nn.Shape(info.Shape), layout.shape))
				continue
			}
			wanted = append(wanted, reading{tensor: info, layout: layout, parameter: p})
		}
	}
	read, err := iter.MapErr(wanted, (*reading).do)
	if err != nil {
		return nil, err
	}
	w := nn.Weights{}
	for _, p := range zeros {
		w[p.Name()] = nn.Tensor{Shape: p.Shape, Data: make([]float32, p.Shape.Size())}
	}
	for i, r := range wanted {
		if read[i] == nil {
			wrong.NotFinite = append(wrong.NotFinite, r.tensor.Name)
			continue
		}
		w[r.parameter.Name()] = nn.Tensor{Shape: r.parameter.Shape, Data: read[i]}
	}
	if len(wrong.Missing) > 0 { // they may be what is missing, under another name
		wrong.Extra = append(wrong.Extra, foreign...)
	}
	if len(wrong.Missing)+len(wrong.Extra)+len(wrong.Misshaped)+len(wrong.NotFinite) > 0 {
		return nil, &wrong
	}
	return w, nil
}

// reading is a tensor that becomes a parameter.
type reading struct {
	tensor    stored.Tensor
	layout    layout
	parameter nn.Parameter
}

// do returns the parameter's numbers; none if they are not finite.
func (r *reading) do() (data []float32, err error) {
	err = r.tensor.Use(func(numbers []float32) {
		if nn.Finite(numbers) {
			data = r.layout.apply(numbers)
		}
	})
	return data, err
}
