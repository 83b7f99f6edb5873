package preprocess

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/textinput"
	"github.com/tlpipe/tlpipe/internal/tokenizer"
	"github.com/tlpipe/tlpipe/internal/words"
	"github.com/tlpipe/tlpipe/internal/wordvectors"
	"github.com/tlpipe/tlpipe/pipeline"
)

// usualLength is how many tokens a text may have if nothing else is said.
const usualLength = 256

// tokens returns what the texts are cut by; nil if they are not.
func (s *textStage) tokens() (*textinput.Tokeniser, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokeniser != nil {
		return s.tokeniser, nil
	}
	p := s.params
	made := record.Tokenisation{Truncate: p.Truncate, Length: p.Length}
	switch {
	case p.For != "":
		path := within(s.dir, p.For)
		encoder, err := tokenizer.Read(path)
		if err != nil {
			return nil, pipeline.ParamErrorHint("for", "a folder with tokenizer.json, vocab.txt or another tokenizer, or such a file", "%v", err)
		}
		if made.Digest, err = tokenizer.Digest(path); err != nil {
			return nil, pipeline.ParamError("for", "%v", err)
		}
		most := encoderLength(path)
		switch {
		case made.Length > most && most > 0:
			return nil, pipeline.ParamErrorHint("length", "leave it out", "the encoder takes %d tokens at most", most)
		case made.Length == 0 && most > 0:
			made.Length = min(usualLength, most)
		case made.Length == 0:
			made.Length = usualLength
		}
		if made.Length <= encoder.Around() {
			return nil, pipeline.ParamErrorHint("length", fmt.Sprintf("more than %d", encoder.Around()), "the encoder adds %d special tokens to each text", encoder.Around())
		}
		made.For, made.Ids = filepath.Base(path), encoder.Size()
		s.tokeniser = &textinput.Tokeniser{Made: made, Encoder: encoder}
	case p.Words != nil:
		if made.Length == 0 {
			made.Length = usualLength
		}
		if !s.ofRows() {
			return s.vectorWords(made)
		}
		made.Source = "training rows"
		s.tokeniser = &textinput.Tokeniser{Made: made}
	}
	return s.tokeniser, nil
}

// vectorWords cuts into the words of word vectors.
func (s *textStage) vectorWords(made record.Tokenisation) (*textinput.Tokeniser, error) {
	path := s.params.Words.Vectors
	made.Source = path
	if path != wordvectors.BuiltinName {
		made.Source, path = filepath.Base(path), within(s.dir, path)
	}
	table, err := wordvectors.Open(path)
	if err == nil && table.Vocabulary() == nil {
		err = errors.New("it has vectors of tokens, not of words: set `for` to its folder")
	}
	if err != nil {
		return nil, pipeline.ParamErrorHint("words", "builtin, a file of word vectors, or {most: 20000}", "%v", err)
	}
	vocabulary := table.Vocabulary()
	if most := s.params.Words.Most; most > 0 && most < vocabulary.Len() {
		if vocabulary, err = words.NewVocabulary(vocabulary.Words()[:most]); err != nil {
			return nil, err
		}
	}
	made.Digest, made.Ids = vocabulary.Digest(), vocabulary.Ids()
	s.tokeniser = &textinput.Tokeniser{Made: made, Vocabulary: vocabulary}
	return s.tokeniser, nil
}

// encoderLength is how many tokens the encoder in a folder takes, as its files say; 0 if they do not.
func encoderLength(path string) int {
	dir := path
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		dir = filepath.Dir(path)
	}
	var config struct {
		Type      string  `json:"model_type"`
		Positions int     `json:"max_position_embeddings"`
		Sequence  int     `json:"max_seq_length"`   // of sentence-transformers
		Model     float64 `json:"model_max_length"` // of a tokenizer; 1e30 for none
	}
	for _, name := range []string{"sentence_bert_config.json", "config.json", "tokenizer_config.json"} {
		raw, err := budget.ReadFile(filepath.Join(dir, name), 1<<20)
		if errors.Is(err, fs.ErrNotExist) || err != nil {
			continue
		}
		if json.Unmarshal(raw, &config) != nil {
			continue
		}
		switch {
		case config.Sequence > 0:
			return config.Sequence
		case config.Positions > 0 && (config.Type == "roberta" || config.Type == "xlm-roberta" || config.Type == "camembert"):
			return config.Positions - 2 // positions begin behind the id of padding
		case config.Positions > 0:
			return config.Positions
		case config.Model > 0 && config.Model < 1<<20:
			return int(config.Model)
		}
	}
	return 0
}
