package backbone

import (
	"slices"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/secret"
)

// Origin tells where the weights come from, by name and content, never by path: an address and a licence are those of
// a weight set that the program knows, or the licence is what the file itself says.
func (c *ResolvedWeights) Origin() (record.Origin, error) {
	b, err := c.backbone()
	if err != nil {
		return record.Origin{}, err
	}
	sum, err := c.Digest()
	if err != nil {
		return record.Origin{}, err
	}
	o := b.origin(record.Origin{Backbone: b.Name, Variant: b.Variant(), Weights: c.Name, Digest: sum})
	if o.Licence == "" && c.Name == FileWeights {
		o.Licence = c.notedLicence()
	}
	return o, nil
}

// OriginOf tells where the weights come from that features were made with; ok is false for a backbone without any.
func OriginOf(made record.Extraction) (o record.Origin, ok bool) {
	if o = made.Origin(); o.Weights == "" {
		return o, false
	}
	if b, err := Find(made.Backbone); err == nil {
		o = b.origin(o)
	}
	return o, true
}

// AddOrigins adds to origins those of the weights that make features in the ways given, each once.
func AddOrigins(to []record.Origin, made ...record.Transforms) []record.Origin {
	out := slices.Clone(to)
	for _, steps := range made {
		if e, ok := steps.Extraction(); ok {
			if o, ok := OriginOf(e); ok && !slices.Contains(out, o) {
				out = append(out, o)
			}
		}
	}
	return out
}

// origin adds what is known of the weight set: that of the name or, for a file, that of the file's digest.
func (b Backbone) origin(o record.Origin) record.Origin {
	for _, set := range b.Weights {
		if set.Name == o.Weights || o.Weights == FileWeights && len(set.Digest) == len(o.Digest) && set.Digest == o.Digest && o.Digest != "" {
			o.Address, o.Licence = secret.Address(set.URL), set.Licence
			break
		}
	}
	return o
}
