package backbone

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Backbone is an entry of the zoo.
type Backbone struct {
	Name  string // as users write it
	Title string // as the paper does
	Paper string // where the architecture is from

	// Layers that have a reference in the command line; names of the network.
	Pooled  string // the feature vector
	LastMap string // the map that is pooled
	Logits  string // the classifier's output; "" if there is none

	// MinSize is the smallest height and width, in pixels, that the network can take.
	MinSize int

	// Weights lists the weight sets, the default first.
	Weights []WeightSet

	// AnyPixels backbones take pixels however prepared; they learned nothing of them.
	AnyPixels bool

	// Spelled networks are none of the zoo: a pipeline spells them out ([Name]). They have no weights, learn from the first
	// layer on, and take pixels however prepared.
	Spelled bool

	// Imported networks are read from the file of their weights, and take pixels however prepared: see [Imported].
	Imported bool
	file     string // of an imported network

	variants []variant // the default first
	chosen   int       // the variant that is built
	named    string    // the weight set that the alias names by which it was found; "" for none

	// preparation is what a backbone without weights says of its pixels.
	preparation record.Preprocessing
}

// All lists the zoo, in the order of listings.
func All() []Backbone {
	return []Backbone{
		efficientNetLite0(),
		efficientNetB0(),
		mobileNetV2(),
		denseNet121(),
		inceptionV3(),
		inceptionResNetV2(),
		nasNetMobile(),
		resNet18(),
		resNet34(),
		resNet50(),
		resNet101(),
		resNet152(),
		vgg16(),
		vgg19(),
		convNeXtTiny(),
		viTS16(),
		viTB16(),
		dinoV2S14(),
		dinoV2B14(),
		dinoV2RegistersS14(),
		dinoV2RegistersB14(),
		clipB16(),
		clipB32(),
		sigLIPB16(),
		pixels(),
	}
}

// Find returns the backbone of that name, or of an alias of it. If the alias names weights, the reference DefaultWeights means
// those.
func Find(name string) (Backbone, error) {
	var known []string
	for _, b := range All() {
		if b.Name == name {
			return b, nil
		}
		known = append(known, b.Name)
	}
	if name == ONNX {
		return imported(), nil
	}
	known = append(known, ONNX)
	if b, set, ok := byAlias(name); ok {
		b.named = set
		return b, nil
	}
	for _, b := range All() {
		for _, a := range b.Aliases() {
			known = append(known, a.Name)
		}
	}
	hint := params.Nearest(name, known)
	if hint != "" {
		hint = fmt.Sprintf("did you mean %q?", hint)
	} else {
		hint = "`tlpipe models list --aliases` lists them"
	}
	return Backbone{}, &UnknownError{Name: name, Hint: hint}
}

// UnknownError says that there is no backbone of that name.
type UnknownError struct {
	Name string
	Hint string // the nearest name, or where all are listed
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("there is no backbone %q (%s)", e.Name, e.Hint)
}

// FindSet returns the backbone and the weight set that NAME or NAME:SET stands for, the backbone in
// the set's variant. Without a set it is the default one, or none if the backbone has no weights.
func FindSet(reference string) (Backbone, WeightSet, error) {
	name, wanted, named := strings.Cut(withoutHub(reference), ":")
	b, err := Find(name)
	if err == nil && b.Imported {
		err = fmt.Errorf("%s is the network of a file, which does not say how pictures are prepared: set size and normalise", name)
	}
	if err != nil {
		return Backbone{}, WeightSet{}, err
	}
	if !named && b.named != "" {
		wanted = b.named
	} else if !named && len(b.Weights) > 0 {
		wanted = b.Weights[0].Name
	} else if !named {
		return b, WeightSet{}, nil
	}
	set, err := b.Set(wanted)
	if err != nil {
		return Backbone{}, WeightSet{}, err
	}
	b, err = b.As(set.Variant)
	return b, set, err
}

// Preprocessing tells how pixels must be prepared for the backbone: for the first weights of its
// variant, or as its authors did where there are none. Its For is what [Backbone.For] gives.
func (b Backbone) Preprocessing() record.Preprocessing {
	if at := slices.IndexFunc(b.Weights, b.isOf); at >= 0 {
		return b.For(b.Weights[at])
	}
	p := b.preparation
	p.For = b.Name
	return p
}

// For tells how pixels must be prepared for a weight set. Its For is the backbone's name, and
// NAME:SET if the set is not the backbone's default.
func (b Backbone) For(set WeightSet) record.Preprocessing {
	p := set.Preprocessing
	p.For = b.reference(set)
	return p
}

// reference is what [FindSet] finds the backbone and one of its weight sets by.
func (b Backbone) reference(set WeightSet) string {
	if set.Name == b.Weights[0].Name {
		return b.Name
	}
	return b.Name + ":" + set.Name
}

// Network builds the backbone, in its variant and with its classifier, for pictures of a size.
func (b Backbone) Network(height, width int) (*nn.Network, error) {
	if b.Imported {
		return b.importedNetwork(height, width)
	}
	if height < b.MinSize || width < b.MinSize {
		return nil, fmt.Errorf("%s: pictures of %d×%d pixels are too small, it takes %d×%d and more", b.Name, width, height, b.MinSize, b.MinSize)
	}
	builder := nn.NewBuilder()
	b.variants[b.chosen].build(builder, builder.Input("image", height, width, 3))
	net, err := builder.Network()
	if err != nil {
		return nil, fmt.Errorf("%s for pictures of %d×%d pixels: %w", b.Name, width, height, err)
	}
	return net, nil
}

// Layer returns the name in the network of what a user calls a layer: "pooled", "last" (the last
// map), the name of a layer or of a scope.
func (b Backbone) Layer(net *nn.Network, reference string) (string, error) {
	switch reference {
	case "pooled":
		reference = b.Pooled
	case "last":
		reference = b.LastMap
	}
	if l, ok := net.Find(reference); ok {
		return l.Name, nil
	}
	known := append([]string{"pooled", "last"}, b.Scopes(net)...)
	return "", fmt.Errorf("%s has no layer %q (%s)", b.Name, reference, params.DidYouMean(reference, known))
}

// Scopes lists the parts of the backbone that can be named, in order, without the image.
func (b Backbone) Scopes(net *nn.Network) []string {
	var out []string
	for _, scope := range net.Scopes() {
		if scope != "image" {
			out = append(out, scope)
		}
	}
	return out
}

// Set returns the weight set of that name.
func (b Backbone) Set(name string) (WeightSet, error) {
	var known []string
	for _, s := range b.Weights {
		if s.Name == name {
			return s, nil
		}
		known = append(known, s.Name)
	}
	if len(known) == 0 {
		return WeightSet{}, fmt.Errorf("%s has no weights", b.Name)
	}
	return WeightSet{}, fmt.Errorf("%s has no weights %q (%s)", b.Name, name, params.DidYouMean(name, known))
}
