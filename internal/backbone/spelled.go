package backbone

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/encoder"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// The small networks of tutorials on distillation, by their words: convolutions, each with a ReLU and a pooling, and a
// dense layer.
const (
	TutorialTeacher = "tutorial_teacher"
	TutorialStudent = "tutorial_student"
)

// spelledWords are the networks that a word spells out.
func spelledWords() map[string][]SpelledLayer {
	block := func(channels int) []SpelledLayer {
		return []SpelledLayer{{Conv: channels, Kernel: 3}, {Word: "relu"}, {MaxPool: 2}}
	}
	join := func(parts ...[]SpelledLayer) (all []SpelledLayer) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	dense := func(width int) []SpelledLayer {
		return []SpelledLayer{{Word: "flatten"}, {Dense: width}, {Word: "relu"}}
	}
	return map[string][]SpelledLayer{
		TutorialTeacher: join(block(32), block(64), block(128), dense(256), []SpelledLayer{{Dropout: 0.5}}),
		TutorialStudent: join(block(16), block(32), dense(64)),
	}
}

// SpelledLayer is a layer of a network that is spelled out. Exactly one of the fields that say what it does is set.
type SpelledLayer struct {
	Word        string  `yaml:"-" json:"word,omitempty"` // an activation, batch_norm, global_average_pool or flatten
	Conv        int     `yaml:"conv" json:"conv,omitempty" min:"1" max:"65536" doc:"a convolution with so many output channels"`
	Depthwise   int     `yaml:"depthwise" json:"depthwise,omitempty" min:"1" max:"255" doc:"a convolution of each channel by itself, with a window of so many pixels"`
	MaxPool     int     `yaml:"max_pool" json:"max_pool,omitempty" min:"1" max:"255" doc:"the greatest value of windows of so many pixels"`
	AveragePool int     `yaml:"average_pool" json:"average_pool,omitempty" min:"1" max:"255" doc:"the mean of windows of so many pixels"`
	Dense       int     `yaml:"dense" json:"dense,omitempty" min:"1" max:"65536" doc:"a fully connected layer of so many features, on the flattened map"`
	Dropout     float64 `yaml:"dropout" json:"dropout,omitempty" above:"0" max:"0.99" doc:"dropout with this probability"`
	Embedding   int     `yaml:"embedding" json:"embedding,omitempty" min:"1" max:"4096" doc:"for texts, as the first layer: a randomly initialised embedding of this many dimensions for each token"`
	Vectors     string  `yaml:"vectors" json:"vectors,omitempty" doc:"for texts, as the first layer: pre-trained word vectors, builtin or a file"`
	LSTM        int     `yaml:"lstm" json:"lstm,omitempty" min:"1" max:"65536" doc:"for texts: a long short-term memory (LSTM) layer with this many units"`
	GRU         int     `yaml:"gru" json:"gru,omitempty" min:"1" max:"65536" doc:"for texts: a gated recurrent unit (GRU) layer with this many units"`
	Positions   int     `yaml:"positions" json:"positions,omitempty" min:"1" max:"65536" doc:"for texts: add learned positions, of up to this many tokens"`
	Transformer int     `yaml:"transformer" json:"transformer,omitempty" min:"1" max:"65536" doc:"for texts: a transformer block as in BERT (self-attention and a feed-forward network of this width with GELU, each with a residual and a layer norm)"`

	Kernel  int    `yaml:"kernel" json:"kernel,omitempty" min:"1" max:"255" doc:"of conv and conv1d: the window, in pixels or tokens; 3 if not given"`
	Stride  int    `yaml:"stride" json:"stride,omitempty" min:"1" max:"255" doc:"of windows, in pixels; 1 if not given, of a pooling the window"`
	Padding string `yaml:"padding" json:"padding,omitempty" enum:"same,valid" doc:"of conv and depthwise: same (the default), zeros around the map, so that at stride 1 it keeps its size; valid, none"`
	Groups  int    `yaml:"groups" json:"groups,omitempty" min:"1" max:"65536" doc:"of conv: groups of channels that are convolved apart; 1 if not given"`
	Conv1D  int    `yaml:"conv1d" json:"conv1d,omitempty" min:"1" max:"65536" doc:"for texts: a convolution along the tokens with this many output channels and zero padding"`

	Frozen        bool `yaml:"frozen" json:"frozen,omitempty" doc:"of vectors: they are not trained"`
	Sequences     bool `yaml:"sequences" json:"sequences,omitempty" doc:"of lstm and gru: return the output at each token, for a further recurrent layer, mean or max; else only that of the last token"`
	Bidirectional bool `yaml:"bidirectional" json:"bidirectional,omitempty" doc:"of lstm and gru: process the tokens in both directions, which doubles the outputs"`

	Heads int     `yaml:"heads" json:"heads,omitempty" min:"1" max:"1024" doc:"of transformer: attention heads, which share the width of the tokens' vectors"`
	Drop  float64 `yaml:"drop" json:"drop,omitempty" above:"0" max:"0.99" doc:"of transformer: dropout of the weights of attention and behind attention and feed-forward network"`

	Gates string `yaml:"gates" json:"gates,omitempty" enum:"sigmoid,hard_sigmoid" doc:"of lstm and gru: the activation of the gates, sigmoid if not given; hard_sigmoid is clamp(x/5 + 1/2), for weights of Keras before 2.3"`

	Bias *bool `yaml:"bias" json:"bias,omitempty" doc:"of conv, depthwise and dense: true if not given"`
}

// words of layers that take no number.
func layerWords() []string {
	words := []string{"batch_norm", "global_average_pool", "flatten", "mean", "max"}
	for f := kernel.ReLU; f <= kernel.GELU; f++ {
		words = append(words, f.String())
	}
	return words
}

// DecodeParam implements params.Decoder: a word, or a mapping.
func (l *SpelledLayer) DecodeParam(d *params.Decoding, node *yaml.Node) {
	if node.Kind == yaml.ScalarNode {
		for _, word := range layerWords() {
			if node.Value == word {
				*l = SpelledLayer{Word: word}
				return
			}
		}
		d.Errorf(node, params.DidYouMean(node.Value, append(layerWords(), "conv", "depthwise", "max_pool", "average_pool", "dense", "dropout", "embedding", "vectors", "positions", "conv1d", "lstm", "gru", "transformer")),
			"%q is no layer that a word alone says", node.Value)
		return
	}
	type plain SpelledLayer
	var p plain
	before := d.Errors()
	d.Into(node, &p)
	if d.Errors() > before {
		return
	}
	*l = SpelledLayer(p)
	if kinds := l.kinds(); len(kinds) != 1 {
		hint := "such as {conv: 16, kernel: 3}"
		if len(kinds) > 1 {
			hint = "write them as layers of their own"
		}
		d.Errorf(node, hint, "a layer does one thing, this one %d", len(kinds))
		return
	}
	window := l.Conv > 0 || l.Depthwise > 0
	pooled := l.MaxPool > 0 || l.AveragePool > 0
	recurrent := l.LSTM > 0 || l.GRU > 0
	for _, s := range []struct {
		key   string
		given bool
		ok    bool
	}{
		{"kernel", l.Kernel > 0, l.Conv > 0 || l.Conv1D > 0}, {"stride", l.Stride > 0, window || pooled}, {"padding", l.Padding != "", window},
		{"groups", l.Groups > 0, l.Conv > 0}, {"bias", l.Bias != nil, window || l.Dense > 0 || l.Conv1D > 0},
		{"frozen", l.Frozen, l.Vectors != ""}, {"sequences", l.Sequences, recurrent}, {"bidirectional", l.Bidirectional, recurrent},
		{"gates", l.Gates != "", recurrent}, {"heads", l.Heads > 0, l.Transformer > 0}, {"drop", l.Drop > 0, l.Transformer > 0},
	} {
		if s.given && !s.ok {
			d.At(s.key, func() { d.Errorf(params.Locate(node, s.key), "leave it out", "%s has no %s", l.kinds()[0], s.key) })
		}
	}
	if l.Transformer > 0 && l.Heads == 0 {
		d.Errorf(node, "such as {transformer: 512, heads: 8}", "how many heads the attention has is missing")
	}
	// What is as it is without saying so is not said: equal networks are equal recipes.
	if (l.Conv > 0 || l.Conv1D > 0) && l.Kernel == 0 {
		l.Kernel = 3
	}
	if window && l.Stride == 1 || pooled && l.Stride == max(l.MaxPool, l.AveragePool) {
		l.Stride = 0
	}
	if l.Padding == "same" {
		l.Padding = ""
	}
	if l.Groups == 1 {
		l.Groups = 0
	}
	if l.Gates == "sigmoid" {
		l.Gates = ""
	}
	if l.Bias != nil && *l.Bias {
		l.Bias = nil
	}
}

// ParamSchema implements params.Schemer.
func (SpelledLayer) ParamSchema(inner map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{map[string]any{"enum": layerWords()}, inner}}
}

// kinds are the things that the layer does.
func (l SpelledLayer) kinds() (kinds []string) {
	for _, k := range []struct {
		name  string
		given bool
	}{
		{l.Word, l.Word != ""}, {"conv", l.Conv > 0}, {"depthwise", l.Depthwise > 0}, {"max_pool", l.MaxPool > 0},
		{"average_pool", l.AveragePool > 0}, {"dense", l.Dense > 0}, {"dropout", l.Dropout > 0},
		{"embedding", l.embeds()}, {"conv1d", l.Conv1D > 0}, {"lstm", l.LSTM > 0}, {"gru", l.GRU > 0}, {"positions", l.Positions > 0}, {"transformer", l.Transformer > 0},
	} {
		if k.given {
			kinds = append(kinds, k.name)
		}
	}
	return kinds
}

// add adds the layer to a network under a name.
func (l SpelledLayer) add(b *nn.Builder, name string, x nn.Value) nn.Value {
	biased := l.Bias == nil || *l.Bias
	padded := func(c nn.Conv) nn.Conv {
		c.Stride, c.Bias = nn.Square(max(l.Stride, 1)), biased
		if l.Padding != "valid" {
			c.Padding = x.Same(c.Kernel, c.Stride)
		}
		return c
	}
	pooled := func(window int) nn.Pair {
		if l.Stride > 0 {
			return nn.Square(l.Stride)
		}
		return nn.Square(window)
	}
	flat := func() nn.Value {
		if len(x.Shape) == 1 || x.Shape[0] < 0 { // of a text: for each token
			return x
		}
		return b.Layer(name+".flatten", nn.Flatten{}, x)
	}
	switch {
	case l.Conv > 0:
		return b.Layer(name, padded(nn.Conv{Out: l.Conv, Kernel: nn.Square(l.Kernel), Groups: l.Groups}), x)
	case l.Depthwise > 0:
		return b.Layer(name, padded(depthwise(nn.Conv{Out: x.Shape.Channels(), Kernel: nn.Square(l.Depthwise)})), x)
	case l.MaxPool > 0:
		return b.Layer(name, nn.MaxPool{Kernel: nn.Square(l.MaxPool), Stride: pooled(l.MaxPool)}, x)
	case l.AveragePool > 0:
		return b.Layer(name, nn.AveragePool{Kernel: nn.Square(l.AveragePool), Stride: pooled(l.AveragePool)}, x)
	case l.Dense > 0:
		x = flat()
		return b.Layer(name, nn.Dense{Out: l.Dense, Bias: biased}, x)
	case l.Dropout > 0:
		return b.Layer(name, nn.Dropout{Rate: float32(l.Dropout)}, x)
	case l.Conv1D > 0:
		return b.Layer(name, nn.Dense{Out: l.Conv1D, Bias: biased}, b.Layer(name+".window", nn.Window{Size: l.Kernel}, x))
	case l.LSTM > 0:
		return l.recurrent(b, name, x, nn.Recurrent{Cell: kernel.LSTM, Units: l.LSTM, HardSigmoid: l.Gates != ""})
	case l.GRU > 0:
		return l.recurrent(b, name, x, nn.Recurrent{Cell: kernel.GRU, Units: l.GRU, HardSigmoid: l.Gates != ""})
	case l.Positions > 0:
		return b.Layer(name, nn.Positions{Count: l.Positions}, x)
	case l.Transformer > 0:
		block := encoder.Sizes{Width: x.Shape.Channels(), Heads: l.Heads, Wide: l.Transformer, Epsilon: 1e-5, Activation: kernel.GELU}
		return block.Block(b, name, x, float32(l.Drop))
	case l.embeds(): // of pictures, which have none: the builder tells
		return b.Layer(name, nn.Embedding{}, x)
	}
	switch l.Word {
	case "batch_norm":
		return b.Layer(name, nn.BatchNorm{Epsilon: 1e-3, Momentum: 0.9}, x)
	case "global_average_pool":
		return b.Layer(name, nn.GlobalAveragePool{}, x)
	case "flatten":
		return b.Layer(name, nn.Flatten{}, x)
	case "mean":
		return b.Layer(name, nn.TokenPool{Function: kernel.MeanOfTokens}, x)
	case "max":
		return b.Layer(name, nn.TokenPool{Function: kernel.GreatestOfTokens}, x)
	}
	f, err := nn.ParseActivation(l.Word)
	if err != nil { // no decoded layer is so
		return b.Layer(name, nil, x)
	}
	return b.Layer(name, nn.Activation{Function: f}, x)
}

// String is the layer as its user may have written it.
func (l SpelledLayer) String() string {
	if l.Word != "" {
		return l.Word
	}
	kind := l.kinds()
	if len(kind) == 0 {
		return ""
	}
	switch {
	case l.Dropout > 0:
		return fmt.Sprintf("dropout %v", l.Dropout)
	case l.Conv > 0:
		return fmt.Sprintf("conv %d, kernel %d", l.Conv, l.Kernel)
	case l.Vectors != "":
		return "vectors " + l.Vectors
	}
	return fmt.Sprintf("%s %d", kind[0], l.Depthwise+l.MaxPool+l.AveragePool+l.Dense+l.Embedding+l.Conv1D+l.LSTM+l.GRU+l.Positions+l.Transformer)
}

// mostLayers bounds what a pipeline can spell out.
const mostLayers = 1000

// spelledNetwork is the network in YAML.
type spelledNetwork struct {
	Layers  []SpelledLayer `yaml:"layers" json:"layers" doc:"the layers from the picture to what the head takes: words (relu, relu6, silu, hardswish, sigmoid, tanh, gelu, batch_norm, global_average_pool, flatten) or mappings such as {conv: 16, kernel: 3}, {max_pool: 2}, {dense: 64}; of texts, from {embedding: 100} or {vectors: builtin} by {conv1d: 64, kernel: 5}, {lstm: 64}, {gru: 64}, {positions: 256}, {transformer: 512, heads: 8}, mean and max"`
	Weights string         `yaml:"weights" json:"weights,omitempty" doc:"of a network for texts: a PyTorch or Keras file; LSTM, GRU, dense and embedding layers start from its weights, in their order"`
}

// decodeSpelled reads {layers: […]} and returns it as the name that stands for it.
func decodeSpelled(d *params.Decoding, node *yaml.Node) Name {
	var s spelledNetwork
	before := d.Errors()
	d.Into(node, &s)
	if d.Errors() > before {
		return ""
	}
	switch {
	case len(s.Layers) == 0:
		d.Errorf(node, "such as {layers: [{conv: 16, kernel: 3}, relu, {max_pool: 2}]}", "the network has no layer")
		return ""
	case len(s.Layers) > mostLayers:
		d.Errorf(node, "", "%d layers are more than the %d that can be spelled out", len(s.Layers), mostLayers)
		return ""
	}
	if s.Weights != "" && !s.Layers[0].embeds() {
		d.At("weights", func() {
			d.Errorf(params.Locate(node, "weights"), "leave it out", "the weights of a network for pictures that is spelled out are random")
		})
		return ""
	}
	text, err := json.Marshal(s)
	if err != nil {
		d.Errorf(node, "", "%v", err)
		return ""
	}
	return Name(text)
}

// spelled returns the layers that a name spells out; ok is false for one of the zoo's.
func (n Name) spelled() (layers []SpelledLayer, ok bool) {
	if layers, ok = spelledWords()[string(n)]; ok || !strings.HasPrefix(string(n), "{") {
		return layers, ok
	}
	var s spelledNetwork
	decoder := json.NewDecoder(bytes.NewReader([]byte(n)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil || len(s.Layers) == 0 || len(s.Layers) > mostLayers {
		return nil, false
	}
	return s.Layers, true
}

// SpelledOut tells whether the name spells a network out, layer by layer, instead of naming one of the zoo.
func (n Name) SpelledOut() bool {
	_, ok := n.spelled()
	return ok
}

// Backbone returns the network that the name spells out, or the backbone of the zoo of that name.
func (n Name) Backbone() (Backbone, error) {
	if e, ok := n.TextEncoder(); ok {
		return Backbone{}, fmt.Errorf("%s is a folder of a text encoder, not a network of the zoo", e.Folder)
	}
	layers, ok := n.spelled()
	if !ok {
		found, err := Find(string(n))
		if unknown := new(UnknownError); errors.As(err, &unknown) {
			if near := params.Nearest(string(n), slices.Sorted(maps.Keys(spelledWords()))); near != "" {
				unknown.Hint = fmt.Sprintf("did you mean %q?", near)
			}
		}
		return found, err
	}
	name := string(n)
	if strings.HasPrefix(name, "{") {
		name = spelledName
	}
	names := layerNames(layers)
	return Backbone{
		Name: name, Title: "A network spelled out in the pipeline", Pooled: names[len(names)-1], LastMap: names[len(names)-1], MinSize: 1, Spelled: true,
		variants: []variant{{build: func(b *nn.Builder, image nn.Value) { build(b, image, layers) }}},
	}, nil
}

// spelledName is what origins say of a network that no word spells out.
const spelledName = "layers"

// WasSpelled tells whether weights began as random ones of a network that was spelled out.
func WasSpelled(o record.Origin) bool {
	return o.Weights == RandomWeights && (o.Backbone == spelledName || Name(o.Backbone).SpelledOut())
}

// layerNames are conv1, relu1, max_pool1, conv2, …
func layerNames(layers []SpelledLayer) []string {
	count, names := map[string]int{}, make([]string, len(layers))
	for i, l := range layers {
		kind := "none"
		if kinds := l.kinds(); len(kinds) > 0 {
			kind = kinds[0]
		}
		count[kind]++
		names[i] = kind + strconv.Itoa(count[kind])
	}
	return names
}

func build(b *nn.Builder, x nn.Value, layers []SpelledLayer) {
	for i, name := range layerNames(layers) {
		x = layers[i].add(b, name, x)
	}
}

// CheckShapes finds the first layer, from 0, of a network that is spelled out that cannot take what the layer before gives
// for pictures of a size. The error tells the shapes.
func (n Name) CheckShapes(height, width int) (layer int, err error) {
	layers, _ := n.spelled()
	names := layerNames(layers)
	b := nn.NewBuilder()
	x := b.Input("image", height, width, 3)
	for i, l := range layers {
		shape := x.Shape
		x = l.add(b, names[i], x)
		if _, err := b.Network(); err != nil {
			_, why, _ := strings.Cut(err.Error(), "): ")
			if why == "" {
				why = err.Error()
			}
			return i, fmt.Errorf("layer %d (%v) cannot take the %v that layer %d gives for pictures of %d×%d pixels: %s", i+1, l, shape, i, width, height, why)
		}
	}
	if n := x.Shape.Size(); n > mostFeatures {
		return len(layers) - 1, fmt.Errorf("the network gives %v, %d numbers, to its head: more than %d", x.Shape, n, mostFeatures)
	}
	return 0, nil
}

// mostFeatures is how many numbers a head may take of a network that is spelled out.
const mostFeatures = 1 << 20
