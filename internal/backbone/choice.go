package backbone

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Words for weights that are no weight set's name. Recipes and metadata say them too.
const (
	RandomWeights = "random"
	FileWeights   = "file" // what a recipe says of weights from a file; their digest stands beside it
)

// DefaultWeights is the word for weights where a user says none.
const DefaultWeights = "imagenet"

// Choice is the weights of a backbone that a user chose by a word: what the parameter `weights` of
// every stage and the flag --weights of every command mean. Making one reads no weights:
//
//	choice, err := b.Choose(word)   // when parameters are read; refuses what is not known
//	choice.Locate(dir)              // where relative paths start
//	digest, err := choice.Digest()  // when the pipeline is checked; for recipes
//	net, err := choice.Network(height, width)
//	weights, err := choice.Load(net, seed) // at work
type Choice struct {
	// Name is what recipes say: a weight set's name, RandomWeights, FileWeights, or "" for a backbone
	// that has no weights.
	Name string

	backbone func() (Backbone, error) // in the variant of the weights
	set      WeightSet                // if the weights are one
	path     string                   // of the file, "" if there is none
	digest   func() (string, error)
}

// Choose finds out what a word for weights means: the name of a weight set, RandomWeights, or the path
// of a file. Before RandomWeights or a path may stand a variant of the backbone and a colon,
// "keras:random"; else the variant of random weights is the default one, and a file tells its own by
// the names of its tensors. A word that means nothing, or weights that are not here, are a
// *[params.Error] about the parameter `weights`.
func (b Backbone) Choose(word string) (*Choice, error) {
	if name, rest, ok := strings.Cut(word, ":"); ok && slices.Contains(b.Variants(), name) {
		b, err := b.As(name)
		if err != nil {
			return nil, err
		}
		return b.choose(rest, true)
	}
	return b.choose(word, false)
}

// choose is Choose, for weights of the backbone's variant if that is fixed.
func (b Backbone) choose(word string, fixed bool) (*Choice, error) {
	c := &Choice{
		backbone: func() (Backbone, error) { return b, nil },
		digest:   func() (string, error) { return "", nil },
	}
	if b.AnyPixels {
		if word != DefaultWeights {
			return nil, wrongWeights("leave it out", "%s has no weights", b.Name)
		}
		return c, nil
	}
	var known []string
	for _, set := range b.Weights {
		if set.Name != word {
			known = append(known, set.Name)
			continue
		}
		if fixed && !b.isOf(set) {
			return nil, wrongWeights("leave the variant out", "the weights %q of %s are for another variant than the %s one", word, b.Name, b.Variants()[b.chosen])
		}
		if !set.Here() {
			return nil, wrongWeights("fetch "+set.URL+" and give that file's path; or say "+RandomWeights,
				"the weights %q of %s are not in this program", word, b.Name)
		}
		c.Name, c.set = word, set
		c.backbone = func() (Backbone, error) { return b.As(set.Variant) }
		c.digest = func() (string, error) { return set.Digest, nil }
		return c, nil
	}
	switch {
	case word == RandomWeights:
		c.Name = RandomWeights
		return c, nil
	case strings.ContainsAny(word, `./\`):
		c.Name, c.path = FileWeights, word
		if !fixed {
			c.backbone = sync.OnceValues(func() (Backbone, error) { return b.ForFile(c.path) })
		}
		c.digest = sync.OnceValues(func() (string, error) { return digestOf(c.path) })
		return c, nil
	}
	known = append(known, RandomWeights)
	return nil, wrongWeights(params.DidYouMean(word, known)+"; or the path of a file: .safetensors, .pth, .h5, .keras", "%s has no weights %q", b.Name, word)
}

// Recall finds the weights that features were made with, by the name and the digest that an extraction
// tells. For weights from a file it must be named; another file is an error.
func (b Backbone) Recall(made record.Extraction, file string) (*Choice, error) {
	if made.Weights == "" {
		return b.Choose(DefaultWeights)
	}
	word := made.Weights
	if word == FileWeights {
		if file == "" {
			return nil, errors.New("its backbone has weights from a file, which the model does not hold: name it with --weights")
		}
		word = file
	}
	b, err := b.As(made.Variant)
	if err != nil {
		return nil, err
	}
	c, err := b.choose(word, true)
	if err != nil {
		return nil, err
	}
	digest, err := c.Digest()
	switch {
	case err != nil:
		return nil, err
	case digest == made.Digest:
		return c, nil
	case c.path != "":
		return nil, fmt.Errorf("%s is not the file of weights that the model was trained with: its SHA-256 is %s, not %s", file, digest, made.Digest)
	}
	return nil, fmt.Errorf("the weights %q of %s are no longer those that the model was trained with: their SHA-256 is %s, not %s",
		c.Name, b.Name, digest, made.Digest)
}

// Locate tells where a relative path starts.
func (c *Choice) Locate(dir string) {
	if c.path != "" && !filepath.IsAbs(c.path) {
		c.path = filepath.Join(dir, c.path)
	}
}

// File is the path of the file that the weights are in, or "". Who reads it for a recipe should see to
// it that its digest is still the one promised.
func (c *Choice) File() string { return c.path }

// Digest returns the hexadecimal SHA-256 of the weights' file; "" for random weights and for none. It
// reads a file the first time.
func (c *Choice) Digest() (string, error) { return c.digest() }

// Variant returns the variant of the backbone that the weights are for, "" for the default one. It
// reads the names in a file the first time, as do the methods below.
func (c *Choice) Variant() (string, error) {
	b, err := c.backbone()
	return b.Variant(), err
}

// Preprocessing tells how pixels must be prepared for these weights.
func (c *Choice) Preprocessing() (record.Preprocessing, error) {
	b, err := c.backbone()
	if err != nil {
		return record.Preprocessing{}, err
	}
	if c.set.Name != "" {
		return b.For(c.set), nil
	}
	return b.Preprocessing(), nil
}

// Network builds the backbone as these weights need it, for pictures of a size.
func (c *Choice) Network(height, width int) (*nn.Network, error) {
	b, err := c.backbone()
	if err != nil {
		return nil, err
	}
	return b.Network(height, width)
}

// Load reads the weights of net, which is the backbone's network or a part of it, or draws random ones
// from the seed, as [nn.Network.InitialiseFrozen] does.
func (c *Choice) Load(net *nn.Network, seed uint64) (nn.Weights, error) {
	b, err := c.backbone()
	if err != nil {
		return nil, err
	}
	switch c.Name {
	case "":
		return nn.Weights{}, nil
	case RandomWeights:
		return b.Random(net, seed), nil
	case FileWeights:
		return b.LoadFile(c.path, net)
	}
	return b.LoadSet(c.set, net)
}

// wrongWeights is an error in the parameter `weights`.
func wrongWeights(hint, format string, args ...any) error {
	return &params.Error{Path: "weights", Message: fmt.Sprintf(format, args...), Hint: hint}
}

// digestOf returns the hexadecimal SHA-256 of a file's content.
func digestOf(path string) (_ string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
