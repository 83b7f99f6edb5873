package deploy

import (
	"errors"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/textinput"
)

// Tokens tell how the network's input is made of a text.
type Tokens struct {
	record.TokensStep
	IDs int // ids are from 0 to IDs−1
}

// onTexts tells of a model whose input is made of texts by these steps, and puts the encoder below it on whose vectors it was trained.
func (m *Model) onTexts(steps record.Transforms, folder string) error {
	var tokens *record.TokensStep
	for _, step := range steps {
		switch s := step.(type) {
		case record.TokensStep:
			tokens = &s
		case record.EncodingStep:
			if tokens == nil {
				return errors.New("the model is on vectors of an encoder, and does not tell how texts were cut into tokens")
			}
			e, err := textinput.OpenEncoder(*tokens, s, folder)
			if err != nil {
				return err
			}
			below, err := e.Network(s.Layer)
			if err != nil {
				return err
			}
			weights, err := e.Load(below)
			if err != nil {
				return err
			}
			if s.Precision != "" {
				m.Notes = append(m.Notes, notComputedIn(s.Precision))
			}
			if m.Scheme != nil {
				m.Scheme = nil
				m.Notes = append(m.Notes, "only the head is quantised: the encoder below it is in float32, and so is the file")
			}
			if err := m.join(below, weights); err != nil {
				return err
			}
		}
	}
	if tokens == nil {
		m.Notes = append(m.Notes, "the model's features are made of texts before the network: the file takes the features, float32")
		return nil
	}
	m.Tokens = &Tokens{TokensStep: *tokens}
	for _, l := range m.Network.Layers() {
		if op, ok := l.Op.(nn.Embedding); ok && l.Inputs[0] == m.Network.Inputs()[0].Name {
			m.Tokens.IDs = op.Count
		}
	}
	return nil
}
