package encoder

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/weightfile"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Encoder is a pre-trained text encoder in a folder.
type Encoder struct {
	Name  string // of the folder
	Sizes Sizes

	folder  string
	weights string // the file, or the index of its shards
	pooling pooling
	digest  func() (string, error)
}

// Poolings are the words for how one vector is made of those of the tokens; PoolingOfFolder is what the folder says.
const PoolingOfFolder = "auto"

// Poolings lists the words for poolings. "cls" is that of the first token.
func Poolings() []string { return []string{PoolingOfFolder, "mean", "cls", "max", "last"} }

// Open reads what a folder says of its encoder, no weights. pooling is one of [Poolings]; another than the folder's does not
// normalise unless the folder does.
func Open(folder, pooling string) (*Encoder, error) {
	sizes, err := readSizes(folder)
	if err != nil {
		return nil, err
	}
	e := &Encoder{Name: filepath.Base(folder), Sizes: sizes, folder: folder}
	if abs, err := filepath.Abs(folder); err == nil {
		e.Name = filepath.Base(abs)
	}
	if e.pooling, err = readPooling(folder); err != nil && pooling == PoolingOfFolder {
		return nil, err
	}
	switch {
	case pooling == "cls":
		e.pooling.Function = "first"
	case pooling != PoolingOfFolder:
		e.pooling.Function = pooling
	case e.pooling.Function == "" && sizes.tower():
		e.pooling.Function = "last"
	case e.pooling.Function == "":
		return nil, fmt.Errorf("%s does not say how token vectors are pooled (1_Pooling/config.json of sentence-transformers would): set pooling, such as mean or cls", folder)
	}
	if _, err := nn.ParseTokenPooling(e.pooling.Function); err != nil {
		return nil, fmt.Errorf("%w (%s)", err, params.DidYouMean(pooling, Poolings()))
	}
	if e.weights, err = weightsIn(folder); err != nil {
		return nil, err
	}
	e.digest = sync.OnceValues(func() (string, error) { return weightfile.FileDigest(e.weights) })
	return e, nil
}

// Weights is the file of the weights, or the index of its shards.
func (e *Encoder) Weights() string { return e.weights }

// Folder is where the encoder lies.
func (e *Encoder) Folder() string { return e.folder }

// Pooling tells in words how one vector is made of those of the tokens.
func (e *Encoder) Pooling() string {
	if e.pooling.Normalise {
		return e.pooling.Function + ", normalised"
	}
	return e.pooling.Function
}

// PoolingWord is the pooling as one of [Poolings], never PoolingOfFolder.
func (e *Encoder) PoolingWord() string {
	if e.pooling.Function == "first" {
		return "cls"
	}
	return e.pooling.Function
}

// Digest identifies what the encoder computes: its weights, sizes and pooling. It reads the weights the first time.
func (e *Encoder) Digest() (string, error) {
	weights, err := e.digest()
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(struct {
		Weights    string
		Sizes      Sizes
		Activation string
		Pooling    pooling
	}{weights, e.Sizes, e.Sizes.Activation.String(), e.pooling})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// WeightsDigest is the SHA-256 of the weights.
func (e *Encoder) WeightsDigest() (string, error) { return e.digest() }

// Layers lists the layers whose pooled vectors can be had, from the last.
func (e *Encoder) Layers() []string {
	layers := []string{Pooled}
	for i := e.Sizes.Blocks - 1; i >= 0; i-- {
		layers = append(layers, fmt.Sprintf("block%d", i))
	}
	return append(layers, "embeddings")
}

// Network builds the encoder up to one vector of a text: the pooled one, or that of the tokens after an earlier block,
// "block3", or of those that enter the first, "embeddings", pooled likewise. Blocks above are left out.
func (e *Encoder) Network(layer string) (*nn.Network, error) {
	layers := e.Layers()
	at := slices.Index(layers, layer)
	if at < 0 {
		return nil, fmt.Errorf("%s has no layer %q (%s)", e.Name, layer, params.DidYouMean(layer, layers))
	}
	b := nn.NewBuilder()
	return e.pooled(b, e.Sizes.network(b, min(len(layers)-1-at, e.Sizes.Blocks)), layer == Pooled, e.pooling.Normalise)
}

// Trunk builds the encoder for fine-tuning, up to the pooled vector: with dropout in training, and without the normalisation that
// sentence-transformers may end with, since a classifier learns from the length of a vector too.
func (e *Encoder) Trunk(dropout float32) (*nn.Network, error) {
	switch {
	case e.Sizes.Padded:
		return nil, fmt.Errorf("%s takes texts with padding, which is not supported in fine-tuning: train a head on the vectors of encode", e.Name)
	case e.Sizes.tower() && dropout > 0:
		return nil, fmt.Errorf("%s is a text tower, which has no dropout", e.Name)
	}
	b := nn.NewBuilder()
	return e.pooled(b, e.Sizes.trainable(b, e.Sizes.Blocks, dropout), true, false)
}

// pooled ends a network with one vector of those of the tokens; last says that they are those of the last block.
func (e *Encoder) pooled(b *nn.Builder, x nn.Value, last, normalise bool) (*nn.Network, error) {
	function, err := nn.ParseTokenPooling(e.pooling.Function)
	if err != nil {
		return nil, err
	}
	tower, projected := last && e.Sizes.tower(), last && e.Sizes.Projection > 0
	pool := Pooled
	if normalise || projected {
		pool = "pool"
	}
	if tower {
		x = b.Layer("norm", nn.LayerNorm{Epsilon: e.Sizes.Epsilon}, x)
	}
	x = b.Layer(pool, nn.TokenPool{Function: function}, x)
	if projected {
		x = b.Layer(projection, nn.Dense{Out: e.Sizes.Projection, Bias: e.Sizes.Bias}, x)
	}
	if normalise {
		b.Layer(Pooled, nn.L2Normalise{}, x)
	}
	net, err := b.Network()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Name, err)
	}
	return net, nil
}

// VectorWidth is the length of the vectors of one of [Encoder.Layers].
func (e *Encoder) VectorWidth(layer string) int {
	if layer == Pooled && e.Sizes.Projection > 0 {
		return e.Sizes.Projection
	}
	return e.Sizes.Width
}

// String tells of the encoder: "all-MiniLM-L6-v2 (bert, 6 blocks of 384)".
func (e *Encoder) String() string {
	return fmt.Sprintf("%s (%s, %d blocks of %d)", e.Name, strings.ToUpper(e.Sizes.Family), e.Sizes.Blocks, e.Sizes.Width)
}
