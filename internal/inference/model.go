package inference

import (
	"errors"
	"fmt"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/record"
)

// Model is a stored model, ready to run. It may be used by several goroutines.
type Model struct {
	stored  *classifier.Classifier
	program *frozen.Program
}

// New compiles a model.
func New(stored *classifier.Classifier) (*Model, error) {
	program, err := stored.Compile()
	if err != nil {
		return nil, err
	}
	return &Model{stored, program}, nil
}

// Head is what the model tells of an example.
func (m *Model) Head() record.Head { return m.stored.Head() }

// Input is what the network takes, and how it is made.
func (m *Model) Input() record.ModelInput { return m.stored.Input() }

// Size is how many numbers the network takes of an example.
func (m *Model) Size() int { return m.program.InputShape().Size() }

// Takes tells what is wrong with the rows of a table of features or pictures as inputs of the network: they have
// another size, or are features that were made in another way. What a table does not tell is not wrong.
func (m *Model) Takes(schema *arrow.Schema) error {
	if record.OnTokens(schema) {
		return m.takesTokens(schema)
	}
	if m.takesIDs() {
		return errors.New("it takes the tokens of texts, and the rows have none")
	}
	column, what := record.Feature, "features"
	if record.OnPictures(schema) {
		column, what = record.Image, "pictures"
	}
	_, field, err := record.Column(schema, column)
	if err != nil {
		return err
	}
	shape, _, err := record.TensorShape(field)
	if err != nil {
		return err
	}
	if has := nn.Shape(shape).Size(); m.Size() != has {
		return fmt.Errorf("it takes %s of %d values, but these have %d", what, m.Size(), has)
	}
	if text, known := schema.Metadata().GetValue(record.TransformsKey); known && len(m.Input().Transforms) > 0 {
		own, err := m.Input().Transforms.Encode()
		if err != nil || !record.SameOfText(own, text) {
			return errors.Join(errors.New("its features were made of texts in another way: make those of all rows in one stage, or let it answer the texts"), err)
		}
	}
	made, known := schema.Metadata().GetValue(record.ExtractionKey)
	want, extracted := m.Input().Transforms.Extraction()
	if !known || !extracted {
		return nil
	}
	if has, err := record.ParseExtraction(made); err != nil || has != want {
		return fmt.Errorf("these are not made as the features that it was trained on: %s", record.MadeDifferently(made, want.Encode()))
	}
	return nil
}

// Session is the memory to run a model. It serves one goroutine.
type Session struct {
	frozen *frozen.Session
	pool   *kernel.Pool
	rows   int
	tokens *Model // that takes tokens; nil: it takes numbers
}

// NewSession makes a session for up to most examples at once, fewer if their activations are large. pool may be nil, for
// one thread.
func (m *Model) NewSession(pool *kernel.Pool, most int) *Session {
	if m.takesIDs() {
		return &Session{frozen: m.program.NewSession(tokensTogether), pool: pool, tokens: m}
	}
	rows := m.program.AtOnce(most)
	return &Session{frozen: m.program.NewSession(rows), pool: pool, rows: rows}
}

// Run computes what the model tells of n examples, any number: out has room for n times as many numbers as the head has names.
// Of a model that takes tokens, examples are rows of [AppendTokens], all of one length.
func (s *Session) Run(inputs []float32, n int, out []float32) error {
	if s.tokens != nil {
		return s.runTokens(inputs, n, out)
	}
	return s.frozen.Run(s.pool, inputs, n, out)
}
