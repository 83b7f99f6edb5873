package transfer

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"sync"

	zoo "github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/encoder"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/textinput"
	"github.com/tlpipe/tlpipe/internal/transfer/prefix"
	"github.com/tlpipe/tlpipe/internal/transfer/strategy"
	"github.com/tlpipe/tlpipe/internal/weightfile"
	"github.com/tlpipe/tlpipe/pipeline"
)

// textEncoder is a pre-trained text encoder in a folder, as a backbone.
type textEncoder struct {
	said zoo.TextEncoder
	dir  string // of the pipeline
	open func() (*encoder.Encoder, error)
}

func newTextEncoder(said zoo.TextEncoder) *textEncoder {
	t := &textEncoder{said: said}
	t.open = sync.OnceValues(func() (*encoder.Encoder, error) {
		pooling := said.Pooling
		if pooling == "" {
			pooling = encoder.PoolingOfFolder
		}
		return encoder.Open(within(t.dir, said.Folder), pooling)
	})
	return t
}

// encodes tells whether the backbone is a pre-trained text encoder.
func (s *Setup) encodes() bool { return s.backbone != nil && s.backbone.encoder != nil }

// encoderError is the error of a parameter that says something of the encoder.
func encoderError(err error) error {
	return pipeline.ParamErrorHint("backbone", "such as {encoder: models/all-MiniLM-L6-v2, pooling: mean}", "%v", err)
}

// check refuses texts that were not cut into the encoder's tokens, and folders whose files do not fit each other.
func (t *textEncoder) check(tokens string) (record.Tokenisation, *nn.Network, error) {
	e, err := t.open()
	if err != nil {
		return record.Tokenisation{}, nil, encoderError(err)
	}
	net, err := t.network()
	if err == nil {
		err = e.CheckWeights(net)
	}
	if err != nil {
		return record.Tokenisation{}, nil, encoderError(err)
	}
	made, err := textinput.CheckTokens(tokens, e, t.said.Folder)
	return made, net, err
}

// network builds the encoder up to what the head takes.
func (t *textEncoder) network() (*nn.Network, error) {
	e, err := t.open()
	if err != nil {
		return nil, encoderError(err)
	}
	return e.Trunk(float32(t.said.Dropout))
}

// identity is what decides the weights that training starts with, and what is computed with them.
func (t *textEncoder) identity() (map[string]string, error) {
	e, err := t.open()
	if err != nil {
		return nil, encoderError(err)
	}
	sum, err := e.Digest()
	if err != nil {
		return nil, encoderError(err)
	}
	id := map[string]string{"encoder": sum}
	if t.said.Dropout > 0 {
		id["dropout, of attention's weights too"] = strconv.FormatFloat(t.said.Dropout, 'g', -1, 64)
	}
	return id, nil
}

// load builds the encoder and reads its weights, which must not have changed since they were identified.
func (t *textEncoder) load(ctx context.Context, task *pipeline.Task) (*nn.Network, nn.Weights, error) {
	e, err := t.open()
	if err != nil {
		return nil, nil, encoderError(err)
	}
	net, err := t.network()
	if err != nil {
		return nil, nil, err
	}
	weights, err := e.Load(net)
	if err != nil {
		return nil, nil, encoderError(err)
	}
	task.Log("encoder %v; pooling: %s", e, e.PoolingWord())
	expected, err := e.WeightsDigest()
	if err != nil {
		return nil, nil, err
	}
	sum, err := weightfile.Digest(e.Weights(), func(path string) (string, error) { return task.Files.Digest(ctx, path) })
	if err == nil && sum != expected {
		err = fmt.Errorf("%s was changed while the pipeline was running", e.Weights())
	}
	return net, weights, err
}

// origin tells of the weights that training starts with.
func (t *textEncoder) origin() (record.Origin, error) {
	e, err := t.open()
	if err != nil {
		return record.Origin{}, encoderError(err)
	}
	sum, err := e.WeightsDigest()
	return record.Origin{Backbone: e.Sizes.Family, Variant: e.Name, Weights: "file", Digest: sum}, err
}

// origin tells of the weights that the backbone begins with.
func (b *backbone) origin() (record.Origin, error) {
	if b.encoder != nil {
		return b.encoder.origin()
	}
	return b.weights.Origin()
}

// identity is what decides the weights that the backbone begins with, beside names and seeds.
func (b *backbone) identity() (map[string]string, error) {
	if b.encoder != nil {
		return b.encoder.identity()
	}
	id, err := b.weights.Identity()
	return maps.Clone(id), err
}

// prefixesOfTexts finds the cuts of phases on texts: as if all had as many tokens as they may have, since what is planned must not
// depend on the rows.
func (s *Setup) prefixesOfTexts(net *nn.Network, tokens string, selections []strategy.Selection, rows int64) ([]prefix.Prefix, error) {
	made, err := record.ParseTokenisation(tokens)
	if err != nil {
		return nil, err
	}
	bound, err := net.Bind(made.Length)
	if err != nil {
		return nil, err
	}
	budget := s.budget()
	budget.AtMost = true
	return budget.Choose(bound, selections, rows), nil
}
