package transfer

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	zoo "github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/digest"
	"github.com/tlpipe/tlpipe/internal/kerasfile"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/transfer/rows"
	"github.com/tlpipe/tlpipe/internal/weightfile"
	"github.com/tlpipe/tlpipe/internal/words"
	"github.com/tlpipe/tlpipe/internal/wordvectors"
	"github.com/tlpipe/tlpipe/pipeline"
)

// textual tells whether the backbone is a network for texts.
func (s *Setup) textual() bool { return s.encodes() || s.spelledForTexts() }

// spelledForTexts tells whether the backbone is a network for texts that is spelled out.
func (s *Setup) spelledForTexts() bool { return s.backbone != nil && s.backbone.said.OnTokens() }

// wordSource holds the vectors that a network for texts begins with, once they were read.
type wordSource struct {
	mu    sync.Mutex
	table *wordvectors.Table
}

// wordTable reads the vectors that the network begins with, once; nil if it has none.
func (s *Setup) wordTable() (*wordvectors.Table, error) {
	s.words.mu.Lock()
	defer s.words.mu.Unlock()
	path := s.backbone.said.TokenEmbedding().Vectors
	if path == "" || s.words.table != nil {
		return s.words.table, nil
	}
	if path != wordvectors.BuiltinName && !filepath.IsAbs(path) {
		path = filepath.Join(s.dir, path)
	}
	table, err := wordvectors.Open(path)
	if err != nil {
		return nil, pipeline.ParamErrorHint("backbone.layers[0].vectors", "builtin, or a file of word vectors", "%v", err)
	}
	if table.Vocabulary() == nil {
		return nil, pipeline.ParamErrorHint("backbone.layers[0].vectors", "builtin, or a file of word vectors", "it has vectors of tokens, not of words")
	}
	s.words.table = table
	return table, nil
}

// weightsIdentity is what decides the weights that training starts with, beside names and seeds.
func (s *Setup) weightsIdentity() (map[string]string, error) {
	identity, err := s.backbone.identity()
	if err != nil {
		return identity, err
	}
	if identity == nil {
		identity = map[string]string{}
	}
	if s.countsBlocks() {
		identity["top"] = "blocks"
	}
	if !s.spelledForTexts() {
		return identity, nil
	}
	table, err := s.wordTable()
	if err != nil {
		return nil, err
	}
	if table != nil {
		identity["vectors"] = table.Digest
	}
	if path := s.backbone.said.TokenWeights(); path != "" {
		if identity["weights.file"], err = digest.File(within(s.dir, path)); err != nil {
			return nil, pipeline.ParamError("backbone.weights", "%v", err)
		}
	}
	return identity, nil
}

// checkTokens refuses texts that are not cut into what the network takes, and layers that do not fit each other.
func (s *Setup) checkTokens(tokens string) error {
	if tokens == "" && !s.encodes() {
		return pipeline.ParamErrorHint("backbone", "set words in the stage text", "is for texts that are cut into tokens")
	}
	if s.encodes() {
		made, trunk, err := s.backbone.encoder.check(tokens)
		if err != nil {
			return err
		}
		s.tokens = made
		return s.checkPhases(trunk)
	}
	made, err := record.ParseTokenisation(tokens)
	if err != nil {
		return err
	}
	if s.backbone.said.TokenEmbedding().Vectors != "" && !made.Words() {
		return pipeline.ParamErrorHint("backbone.layers[0].vectors", "set words instead of `for` in the stage text, or use {embedding: 100}", "are vectors of words, but the texts are cut into the tokens of %s", made.For)
	}
	trunk, err := s.tokenNetwork(2)
	if err != nil {
		return err
	}
	if most := trunk.MostTokens(); most > 0 && made.Length > most {
		return pipeline.ParamErrorHint("backbone.layers", fmt.Sprintf("write positions: %d, or length: %d in the stage text", made.Length, most),
			"there are positions for %d tokens, but texts may have %d", most, made.Length)
	}
	return s.checkPhases(trunk)
}

// tokenNetwork builds the network for texts of so many ids.
func (s *Setup) tokenNetwork(ids int) (*nn.Network, error) {
	table, err := s.wordTable()
	if err != nil {
		return nil, err
	}
	width := s.backbone.said.TokenEmbedding().Width
	if table != nil {
		width = table.Width
	}
	net, err := s.backbone.said.TokenNetwork(ids, width)
	if err != nil {
		return nil, pipeline.ParamError("backbone.layers", "%v", err)
	}
	return net, nil
}

// load builds the backbone for the rows and loads its weights, or draws random ones.
func (s *Setup) load(ctx context.Context, task *pipeline.Task, d *rows.Data) (*nn.Network, nn.Weights, error) {
	seed := s.backbone.seed(s.RandomSeed, task.Seed)
	switch {
	case s.encodes():
		return s.backbone.encoder.load(ctx, task)
	case !s.textual():
		return s.backbone.load(ctx, task, d.Shape, seed)
	}
	ids := d.Ids
	var vocabulary *words.Vocabulary
	if text, ok := d.Metadata[record.VocabularyKey]; ok {
		var err error
		if vocabulary, err = words.Decode(text); err != nil {
			return nil, nil, err
		}
		ids = vocabulary.Ids()
	} else if made, err := record.ParseTokenisation(d.Metadata[record.TokensKey]); err == nil {
		ids = max(ids, made.Ids)
	}
	net, err := s.tokenNetwork(ids)
	if err != nil {
		return nil, nil, err
	}
	weights := net.Initialise(seed)
	if err := s.loadFile(task, net, weights); err != nil {
		return nil, nil, err
	}
	table, err := s.wordTable()
	if err != nil || table == nil {
		return net, weights, err
	}
	if vocabulary == nil {
		return nil, nil, fmt.Errorf("the texts have tokens without a vocabulary")
	}
	embedding := weights[nn.Parameter{Layer: s.backbone.said.TokenEmbedding().Layer, Role: nn.Weight}.Name()].Data
	clear(embedding) // what has no vector has zeros
	found := 0
	for i, word := range vocabulary.Words() {
		if id := table.Vocabulary().ID(word); id != words.Unknown {
			found++
			copy(embedding[(i+words.FirstWord)*table.Width:], table.Vector(int(id)-words.FirstWord))
		}
	}
	task.Log("%d of %d words of the vocabulary have a vector", found, vocabulary.Len())
	return net, weights, nil
}

// loadFile reads the weights of a file into those of the network, if it begins with any.
func (s *Setup) loadFile(task *pipeline.Task, net *nn.Network, weights nn.Weights) (err error) {
	path := s.backbone.said.TokenWeights()
	if path == "" {
		return nil
	}
	file, err := weightfile.Open(within(s.dir, path))
	if err != nil {
		return pipeline.ParamError("backbone.weights", "%v", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	said, known, err := kerasfile.ReadRecurrent(within(s.dir, path))
	if err != nil {
		return pipeline.ParamError("backbone.weights", "%v", err)
	}
	if known && said.Unmasked && len(said.Layers) > 0 {
		task.Log("the model in %s takes padding like other tokens (its embedding has no mask_zero): here no padding is taken, so that results differ where it was trained with padding", filepath.Base(path))
	}
	loaded, missing, err := zoo.LoadTokens(net, file.Tensors, said.Layers, weights)
	if err != nil {
		return pipeline.ParamError("backbone.weights", "%s: %v", path, err)
	}
	task.Log("weights of %s: %s", filepath.Base(path), strings.Join(loaded, ", "))
	if len(missing) > 0 {
		task.Log("%s has no weights for %s: they start at random", filepath.Base(path), strings.Join(missing, ", "))
	}
	return nil
}

// within is a path as seen from a folder.
func within(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// frozenTokens are layers that no phase trains.
func (s *Setup) frozenTokens() []string {
	if !s.spelledForTexts() {
		return nil
	}
	if e := s.backbone.said.TokenEmbedding(); e.Frozen {
		return []string{e.Layer}
	}
	return nil
}

// thaws tells whether a layer may learn.
func (s *Setup) thaws(layer string) bool { return !slices.Contains(s.frozenTokens(), layer) }
