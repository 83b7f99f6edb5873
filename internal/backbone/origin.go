package backbone

import (
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/secret"
)

// Origin tells where the weights come from, by name and content, never by path: an address and a licence are those of
// a weight set that the program knows.
func (c *ResolvedWeights) Origin() (record.Origin, error) {
	b, err := c.backbone()
	if err != nil {
		return record.Origin{}, err
	}
	sum, err := c.Digest()
	if err != nil {
		return record.Origin{}, err
	}
	return b.origin(record.Origin{Backbone: b.Name, Variant: b.Variant(), Weights: c.Name, Digest: sum}), nil
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
