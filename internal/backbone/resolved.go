package backbone

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tlpipe/tlpipe/internal/backbone/store"
	"github.com/tlpipe/tlpipe/internal/fetch"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/secret"
	"github.com/tlpipe/tlpipe/internal/weightfile"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Words for weights that are no weight set's name. Recipes and metadata say them too.
const (
	RandomWeights = "random"
	FileWeights   = "file" // what a recipe says of weights from a file; their digest stands beside it
)

// DefaultWeights is the reference for weights where a user says none.
const DefaultWeights = "imagenet"

// ResolvedWeights is the weights of a backbone that a user chose by a reference: what the parameter `weights` of
// every stage and the flag --weights of every command mean. Making one reads no weights:
//
//	resolved, err := b.Resolve(reference)  // when parameters are read; refuses what is not known or not here
//	resolved.Locate(dir)             // where relative paths start
//	sum, err := resolved.Digest()    // when the pipeline is checked; for recipes
//	err = resolved.Fetch(ctx, say)   // at work: an address' file
//	net, err := resolved.Network(height, width)
//	weights, err := resolved.Load(net, seed)
//	err = resolved.Unchanged(ctx, env.Files)
type ResolvedWeights struct {
	// Name is what recipes say: a weight set's name, RandomWeights, FileWeights, or "" for a backbone
	// that has no weights.
	Name string

	backbone func() (Backbone, error) // in the variant of the weights
	set      WeightSet                // if the weights are one
	path     string                   // of the file, "" if there is none
	source   *store.Source            // of the file, if the reference is an address
	said     bool                     // the reference says which variant it is
	digest   func() (string, error)
}

// Resolve finds out what a reference for weights means: the name of a weight set, RandomWeights, the path of
// a file, or an address with a digest. Before RandomWeights, a path or an address may stand a variant
// of the backbone and a colon, "keras:random"; else the variant of random weights and of an address is
// the default one, and a file tells its own by the names of its tensors. A reference that means nothing, or
// weights that are not here, are a *[params.Error] about the parameter `weights`.
func (b Backbone) Resolve(reference WeightsReference) (*ResolvedWeights, error) {
	if reference == DefaultWeights && b.named != "" {
		reference = WeightsReference(b.named)
	}
	if reference == DefaultWeights && len(b.Weights) > 0 && !slices.ContainsFunc(b.Weights, func(s WeightSet) bool { return s.Name == DefaultWeights }) {
		reference = WeightsReference(b.Weights[0].Name)
	}
	if name, rest, ok := strings.Cut(string(reference), ":"); ok && !b.Imported && slices.Contains(b.Variants(), name) {
		b, err := b.As(name)
		if err != nil {
			return nil, err
		}
		return b.resolve(WeightsReference(rest), true)
	}
	return b.resolve(reference, false)
}

// choose is Resolve, for weights of the backbone's variant if that is fixed.
func (b Backbone) resolve(reference WeightsReference, fixed bool) (*ResolvedWeights, error) {
	if b.Imported {
		return b.resolveImported(reference)
	}
	c := &ResolvedWeights{
		said:     fixed,
		backbone: func() (Backbone, error) { return b, nil },
		digest:   func() (string, error) { return "", nil },
	}
	if b.AnyPixels {
		if reference != DefaultWeights {
			return nil, wrongWeights("leave it out", "%s has no weights", b.Name)
		}
		return c, nil
	}
	if b.Spelled {
		if reference != DefaultWeights && reference != RandomWeights {
			return nil, wrongWeights("leave it out", "a network that is spelled out has random weights alone")
		}
		c.Name = RandomWeights
		return c, nil
	}
	var known []string
	for _, set := range b.Weights {
		if set.Name != string(reference) {
			known = append(known, set.Name)
			continue
		}
		if fixed && !b.isOf(set) {
			return nil, wrongWeights("leave the variant out", "the weights %q of %s are for another variant than the %s one", reference, b.Name, b.Variants()[b.chosen])
		}
		c.Name, c.set = set.Name, set
		c.backbone = func() (Backbone, error) { return b.As(set.Variant) }
		c.digest = func() (string, error) { return set.Digest, nil }
		if set.embedded == nil {
			f, ok := set.stored()
			if !ok {
				return nil, wrongWeights("`tlpipe models pull "+b.reference(set)+"` fetches them", "the weights %q of %s are not here", reference, b.Name)
			}
			c.path = f.Path
			c.digest = func() (string, error) { return f.SHA256, nil }
		}
		return c, nil
	}
	switch {
	case reference == RandomWeights:
		c.Name = RandomWeights
		return c, nil
	case reference.otherScheme() != "":
		return nil, wrongWeights("addresses begin with https:// or http://; a file is named by its path", "%s is no scheme that weights are fetched by", strings.TrimRight(reference.otherScheme(), "/"))
	case reference.isURL():
		source, err := reference.source()
		if err != nil {
			return nil, err
		}
		source.Limits.Most = cmp.Or(source.Limits.Most, b.largestFile())
		c.Name, c.source = FileWeights, &source
		c.digest = func() (string, error) { return source.Expected.SHA256, nil }
		return c, nil
	case strings.ContainsAny(string(reference), `./\`):
		c.Name, c.path = FileWeights, string(reference)
		if !fixed {
			c.backbone = sync.OnceValues(func() (Backbone, error) { return b.ForFile(c.path) })
		}
		c.digest = sync.OnceValues(func() (string, error) { return weightfile.FileDigest(c.path) })
		return c, nil
	}
	known = append(known, RandomWeights)
	if strings.Contains(string(reference), ":") && !fixed {
		return nil, wrongWeights("variants: "+strings.Join(b.Variants(), ", ")+"; weights: "+strings.Join(known, ", "), "%s has no weights %q", b.Name, reference)
	}
	return nil, wrongWeights(params.DidYouMean(string(reference), known)+"; or the path of a file: .safetensors, .pth, .h5, .keras", "%s has no weights %q", b.Name, reference)
}

// Recall finds the weights that features were made with, by the name and the digest that an extraction
// tells. A file may be named; it is needed for weights from a file that are not in the store, and
// another file is an error.
func (b Backbone) Recall(made record.Extraction, file string) (*ResolvedWeights, error) {
	if made.Weights == "" {
		return b.Resolve(DefaultWeights)
	}
	b, err := b.As(made.Variant)
	if err != nil {
		return nil, err
	}
	reference := made.Weights
	if _, err := b.Set(reference); err != nil && reference != RandomWeights && reference != FileWeights {
		return nil, err // and never a path: what a model says must not open files
	}
	if file != "" && made.Digest != "" {
		reference = file
	} else if f, ok := storedAs(made.Digest); ok {
		reference = f.Path
	} else if reference == FileWeights {
		return nil, errors.New("its backbone has weights from a file, which the model does not hold: name it with --weights")
	}
	c, err := b.resolve(WeightsReference(reference), true)
	if err != nil {
		return nil, err
	}
	sum, err := c.Digest()
	switch {
	case err != nil:
		return nil, err
	case sum == made.Digest:
		return c, nil
	case reference == file:
		return nil, fmt.Errorf("%s is not the file of weights that the model was trained with: its SHA-256 is %s, not %s", file, sum, made.Digest)
	case c.Name == FileWeights:
		return nil, c.damaged()
	}
	return nil, fmt.Errorf("the weights %q of %s are no longer those that the model was trained with: their SHA-256 is %s, not %s",
		c.Name, b.Name, sum, made.Digest)
}

// Locate tells where a relative path starts.
func (c *ResolvedWeights) Locate(dir string) {
	if c.path != "" && !filepath.IsAbs(c.path) {
		c.path = filepath.Join(dir, c.path)
	}
}

// Digest returns the hexadecimal SHA-256 of the weights' file; "" for random weights and for none. It
// reads a user's file the first time.
func (c *ResolvedWeights) Digest() (string, error) { return c.digest() }

// Fetch brings the file of an address into the store, unless it is there. It has nothing to do for
// other weights. say tells people what takes time.
func (c *ResolvedWeights) Fetch(ctx context.Context, say func(format string, args ...any)) error {
	if c.source == nil {
		return nil
	}
	s, err := store.Default()
	if err != nil {
		return err
	}
	address := secret.Address(c.source.URL)
	f, ok := s.Find(*c.source)
	if !ok {
		say("fetching %s", address)
		f, err = s.Fetch(ctx, fetch.New(fetch.HubFromEnvironment()), *c.source, store.Watch{
			Waiting: func() { say("another process fetches %s: waiting for it", address) },
			Retry:   func(why error, wait time.Duration) { say("%v; trying again in %s", why, wait.Round(time.Second)) },
		})
	}
	if err != nil {
		hint := "a file that was fetched by other means can be given by its path"
		if fetch.LimitError(err) {
			hint = "limits of the weights can be raised: {url, sha256, limits: {size: 4GB, rate: 100, stall: 2m}}; " + hint
		}
		return fmt.Errorf("weights: %w (%s)", err, hint)
	}
	c.path = f.Path
	return nil
}

// Unchanged sees to it that the weights, which have been loaded, are those that [ResolvedWeights.Digest] told
// of. files tells a file's SHA-256, as package pipeline's Files do without reading it again.
func (c *ResolvedWeights) Unchanged(ctx context.Context, files interface {
	Digest(ctx context.Context, path string) (string, error)
}) error {
	if c.path == "" {
		return nil
	}
	expected, err := c.Digest()
	if err != nil {
		return err
	}
	sum, err := weightfile.Digest(c.path, func(path string) (string, error) { return files.Digest(ctx, path) })
	switch {
	case err != nil:
		return err
	case sum == expected:
		return nil
	case c.Name == FileWeights && c.source == nil:
		return fmt.Errorf("%s was changed while the pipeline was running", c.path)
	}
	return c.damaged()
}

// damaged says that the store holds something else than it took.
func (c *ResolvedWeights) damaged() error {
	return fmt.Errorf("%s is damaged: `tlpipe models rm %s` removes it, so that it can be fetched again", c.path, filepath.Base(c.path))
}

// Variant returns the variant of the backbone that the weights are for, "" for the default one. It
// reads the names in a file the first time, as do the methods below.
func (c *ResolvedWeights) Variant() (string, error) {
	b, err := c.backbone()
	return b.Variant(), err
}

// Preprocessing tells how pixels must be prepared for these weights.
func (c *ResolvedWeights) Preprocessing() (record.Preprocessing, error) {
	b, err := c.backbone()
	if err != nil {
		return record.Preprocessing{}, err
	}
	if c.set.Name != "" {
		return b.For(c.set), nil
	}
	return b.Preprocessing(), nil
}

// Classes are the names of the logits of the weights' own classifier, in order; nil if they have none
// or that is not known.
func (c *ResolvedWeights) Classes() []string {
	if c.set.Classes == nil {
		return nil
	}
	return c.set.Classes()
}

// CheckPixels refuses pixels that are not what the weights were trained on. Another size is all right if
// it was asked for: if the pictures were prepared for this very backbone. A file does not tell what it
// was trained on: it may be what any weight set of its variant was, or, if it was asked for, something
// that no weight set was.
func (c *ResolvedWeights) CheckPixels(p record.Preprocessing) error {
	b, err := c.backbone()
	if err != nil || b.AnyPixels || b.Spelled || b.Imported {
		return err
	}
	want, err := c.Preprocessing()
	if err != nil {
		return err
	}
	name, _, _ := strings.Cut(p.For, ":")
	asked := name == b.Name
	differences := func(want record.Preprocessing) []string {
		if asked {
			want.Height, want.Width = p.Height, p.Width
		}
		return p.Differences(want)
	}
	if c.Name == FileWeights {
		known := false
		for _, set := range b.Weights {
			if len(differences(set.Preprocessing)) > 0 {
				continue
			}
			if b.isOf(set) {
				return nil
			}
			known = true
		}
		if asked && !known {
			return nil
		}
	}
	if differences := differences(want); len(differences) > 0 {
		return fmt.Errorf("the pictures were not prepared for %s: %s; say `for: %s` in the preprocess stage",
			b.Name, strings.Join(differences, "; "), want.For)
	}
	return nil
}

// Identity tells the weights for a recipe: by name and content, never by path.
func (c *ResolvedWeights) Identity() (map[string]string, error) {
	digest, err := c.Digest()
	if err != nil {
		return nil, wrongWeights("", "%v", err)
	}
	variant, err := c.Variant()
	if err != nil {
		return nil, wrongWeights("", "%v", err)
	}
	identity := map[string]string{"weights": c.Name, "weights.digest": digest}
	if variant != "" { // the default one has always been left unsaid
		identity["variant"] = variant
	}
	return identity, nil
}

// Note tells people what of a file is not used: a head of another task, a loss. "" if there is nothing to tell.
func (c *ResolvedWeights) Note() string {
	if c.Name != FileWeights || c.path == "" {
		return ""
	}
	b, err := c.backbone()
	if err != nil {
		return ""
	}
	names, err := b.LeftOut(c.path)
	if err != nil || len(names) == 0 {
		return ""
	}
	const few = 4
	shown := strings.Join(names[:min(len(names), few)], ", ")
	if len(names) > few {
		shown += fmt.Sprintf(" and %d more", len(names)-few)
	}
	return "of the file of weights, what is not the backbone's is left out: " + shown
}

// Network builds the backbone as these weights need it, for pictures of a size.
func (c *ResolvedWeights) Network(height, width int) (*nn.Network, error) {
	b, err := c.backbone()
	if err != nil {
		return nil, err
	}
	return b.Network(height, width)
}

// Load reads the weights of net, which is the backbone's network or a part of it, or draws random ones
// from the seed, as [nn.Network.InitialiseFrozen] does.
func (c *ResolvedWeights) Load(net *nn.Network, seed uint64) (nn.Weights, error) {
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
		if c.source != nil && !c.said {
			if err := c.isOfDefault(b); err != nil {
				return nil, err
			}
		}
		return b.LoadFile(c.path, net)
	}
	return b.LoadSet(c.set, net)
}

// isOfDefault refuses the file of an address that is for another variant than the default one: recipes
// were made before it was here.
func (c *ResolvedWeights) isOfDefault(b Backbone) error {
	told, err := b.ForFile(c.path)
	if err != nil {
		return err
	}
	if v := told.Variant(); v != "" {
		return fmt.Errorf("weights of %s: the names in the file are those of the variant %s: write %s:%s", b.Name, v, v, secret.Address(c.source.URL))
	}
	return nil
}

// wrongWeights is an error in the parameter `weights`.
func wrongWeights(hint, format string, args ...any) error {
	return &params.Error{Path: "weights", Message: fmt.Sprintf(format, args...), Hint: hint}
}
