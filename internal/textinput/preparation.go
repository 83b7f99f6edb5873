package textinput

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/tlpipe/tlpipe/internal/document"
	"github.com/tlpipe/tlpipe/internal/encoder"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/tokenizer"
	"github.com/tlpipe/tlpipe/internal/words"
	"github.com/tlpipe/tlpipe/internal/wordvectors"
)

// Preparation is the transforms of a model on texts. It may be used by several goroutines.
type Preparation struct {
	tokeniser *Tokeniser                  // nil: features without tokens
	embedder  *encoder.Embedder           // of tokens; nil: the network takes them
	vectorise func() (*Vectoriser, error) // nil: tokens
}

// Prepare makes a preparation of transforms: text, then terms, word_mean or tokens, and after tokens encoding if the model is on
// vectors of an encoder. file is that of what they name by its digest: word vectors, or the folder of an encoder or a tokenizer; ""
// if there is none.
func Prepare(steps record.Transforms, file string) (*Preparation, error) {
	if steps.OnTexts() && len(steps) == 3 {
		tokens, ok := steps[1].(record.TokensStep)
		encoding, encoded := steps[2].(record.EncodingStep)
		if ok && encoded {
			return prepareEncoder(tokens, encoding, file)
		}
	}
	if !steps.OnTexts() || len(steps) != 2 {
		return nil, fmt.Errorf("%d transforms are not those of texts: text, and what makes tokens or features", len(steps))
	}
	switch step := steps[1].(type) {
	case record.TokensStep:
		tokeniser, err := tokeniserOf(step, file)
		return &Preparation{tokeniser: tokeniser}, err
	case record.TermsStep:
		v, err := Terms(step)
		return &Preparation{vectorise: func() (*Vectoriser, error) { return v, nil }}, err // it has no state
	case record.WordMeanStep:
		table, err := tableOf(step, file)
		if err != nil {
			return nil, err
		}
		_, err = WordMean(step, table)
		return &Preparation{vectorise: func() (*Vectoriser, error) { return WordMean(step, table) }}, err
	}
	return nil, fmt.Errorf("the transform %s stands where texts need tokens, terms or word_mean", steps[1].Kind())
}

// prepareEncoder opens the encoder in a folder, and refuses another than the step's.
func prepareEncoder(tokens record.TokensStep, step record.EncodingStep, folder string) (*Preparation, error) {
	e, err := OpenEncoder(tokens, step, folder)
	if err != nil {
		return nil, err
	}
	tokeniser, err := tokeniserOf(tokens, folder)
	if err != nil {
		return nil, err
	}
	precision := frozen.Float32
	if step.Precision != "" {
		if precision, err = frozen.ParsePrecision(step.Precision); err != nil {
			return nil, err
		}
	}
	embedder, err := encoder.NewEmbedder(e, step.Layer, precision)
	return &Preparation{tokeniser: tokeniser, embedder: embedder}, err
}

// OpenEncoder opens the encoder in a folder on whose vectors a model is, and refuses another.
func OpenEncoder(tokens record.TokensStep, step record.EncodingStep, folder string) (*encoder.Encoder, error) {
	if folder == "" {
		return nil, fmt.Errorf("the model is on vectors of the text encoder %s: give its folder as weights", tokens.For)
	}
	e, err := encoder.Open(folder, step.Pooling)
	if err != nil {
		return nil, err
	}
	digest, err := e.Digest()
	switch {
	case err != nil:
		return nil, err
	case digest != step.Digest:
		return nil, fmt.Errorf("the encoder in %s, SHA-256 %.12s, is not that of the model, SHA-256 %.12s", folder, digest, step.Digest)
	case e.VectorWidth(step.Layer) != step.Width:
		return nil, fmt.Errorf("the encoder's vectors have %d numbers, the model's %d", e.VectorWidth(step.Layer), step.Width)
	case tokens.Length > e.Sizes.MostTokens():
		return nil, fmt.Errorf("texts have up to %d tokens, and the encoder takes %d", tokens.Length, e.Sizes.MostTokens())
	}
	return e, nil
}

func tokeniserOf(step record.TokensStep, folder string) (*Tokeniser, error) {
	if step.Words() {
		vocabulary, err := words.Decode(step.Vocabulary)
		if err != nil {
			return nil, err
		}
		return &Tokeniser{Made: step.Tokenisation, Vocabulary: vocabulary}, nil
	}
	if folder == "" {
		return nil, fmt.Errorf("the model takes the tokens of %s: give the folder with its tokenizer as weights", step.For)
	}
	cut, err := tokenizer.Read(folder)
	if err != nil {
		return nil, err
	}
	digest, err := tokenizer.Digest(folder)
	if err != nil {
		return nil, err
	}
	if digest != step.Digest {
		return nil, fmt.Errorf("the tokenizer in %s, SHA-256 %.12s, is not that of %s which the model learned with, SHA-256 %.12s", folder, digest, step.For, step.Digest)
	}
	if step.Length <= cut.Around() {
		return nil, fmt.Errorf("%d tokens are not more than the special ones around a text", step.Length)
	}
	return &Tokeniser{Made: step.Tokenisation, Encoder: cut}, nil
}

func tableOf(step record.WordMeanStep, file string) (*wordvectors.Table, error) {
	if step.Vectors == wordvectors.BuiltinName {
		return wordvectors.Builtin()
	}
	if file == "" {
		return nil, fmt.Errorf("the model's features are made of word vectors from a file, SHA-256 %.12s: give it as weights", step.Digest)
	}
	return wordvectors.Open(file)
}

// Width is how many features a text has; 0 if it has tokens instead.
func (p *Preparation) Width() (int, error) {
	if p.embedder != nil {
		return p.embedder.Width(), nil
	}
	if p.vectorise == nil {
		return 0, nil
	}
	v, err := p.vectorise()
	if err != nil {
		return 0, err
	}
	return v.Width, nil
}

// Embed writes the vector of a text's tokens into dst, for a model on vectors of an encoder. One thread computes it.
func (p *Preparation) Embed(dst []float32, ids []int32) error {
	windows := p.tokeniser.Made.Windows(ids)
	for _, own := range windows {
		if reason := p.embedder.Check(own); reason != "" {
			return errors.New(reason)
		}
	}
	return p.embedder.EmbedWindows(1, [][][]int32{windows}, dst)
}

// Encodes tells whether the tokens become a vector of an encoder.
func (p *Preparation) Encodes() bool { return p.embedder != nil }

// MostTokens is how many tokens a text has at most; 0 if there are none.
func (p *Preparation) MostTokens() int {
	if p.tokeniser == nil {
		return 0
	}
	return p.tokeniser.Made.Length
}

// NewWorker makes what prepares texts in one goroutine: one of the two is nil.
func (p *Preparation) NewWorker() (*Cutter, *Vectoriser, error) {
	if p.tokeniser != nil {
		return p.tokeniser.NewCutter(), nil, nil
	}
	v, err := p.vectorise()
	return nil, v, err
}

// Bounds of a file and of its text, in bytes.
const (
	MostFile = 32 << 20
	MostText = 4 << 20
)

// Read makes text of the bytes of a file. Errors have reasons for people.
func Read(data []byte, format document.Format) (string, error) {
	if what := http.DetectContentType(data); strings.HasPrefix(what, "image/") {
		return "", fmt.Errorf("it is a picture (%s), and the model takes texts", what)
	}
	text, err := document.Read(data, format)
	switch {
	case err != nil:
		return "", err
	case text == "":
		return "", errors.New("there is no text")
	case len(text) > MostText:
		return "", fmt.Errorf("its text has %d bytes, more than %d", len(text), MostText)
	}
	return text, nil
}
