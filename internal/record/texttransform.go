package record

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/document"
)

// ReadTextStep makes text of the bytes of a file, as package document does: of mails subject and text, of web pages what they
// show.
type ReadTextStep struct {
	Formats []document.Format `json:"formats,omitempty"` // those of training files that are not plain text, in order: new files that begin as one are read as one
}

// TokensStep cuts a text into tokens.
type TokensStep struct {
	Tokenisation
	Vocabulary string `json:"vocabulary,omitempty"` // the words, as package words encodes them; "": tokens of a tokenizer, which is found by digest
}

// EncodingStep makes one vector of the tokens of a text by a text encoder. The encoder is not part of the model: it is found by its
// digest.
type EncodingStep struct {
	Digest  string `json:"digest"`  // of what the encoder computes, as package encoder makes it
	Layer   string `json:"layer"`   // as package encoder calls it
	Pooling string `json:"pooling"` // one of package encoder's words
	Width   int    `json:"width"`   // numbers of a vector

	Precision string `json:"precision,omitempty"` // of the encoder's arithmetic: bf16 or int8; "": fp32
}

// TermsStep weighs the terms of a text, as package tfidf does.
type TermsStep struct {
	Terms   string `json:"terms"`   // as package words encodes them
	Holding []int  `json:"holding"` // training texts that have each
	Texts   int    `json:"texts"`   // training texts
	Longest int    `json:"longest"` // words of a term at most
}

// WordMeanStep makes the mean of the vectors of a text's words. The vectors are not part of the model: they are those in the
// program, or found by digest.
type WordMeanStep struct {
	Vectors string      `json:"vectors"` // builtin, or file
	Digest  string      `json:"digest"`  // of the vectors, as package wordvectors makes it
	Width   int         `json:"width"`   // numbers of a vector
	SIF     *SIFWeights `json:"sif,omitempty"`
}

// SIFWeights are what training texts tell for means by smooth inverse frequency; see package wordvectors.
type SIFWeights struct {
	A      float64   `json:"a"`
	Places []int32   `json:"places"` // of the vectors whose words are in training texts
	Counts []int64   `json:"counts"` // of each
	Common []float64 `json:"common"` // the direction that training texts share
}

func (ReadTextStep) Kind() string { return "text" }
func (TokensStep) Kind() string   { return "tokens" }
func (EncodingStep) Kind() string { return "encoding" }
func (TermsStep) Kind() string    { return "terms" }
func (WordMeanStep) Kind() string { return "word_mean" }

func (r ReadTextStep) String() string {
	text := "read the text: of mails subject and text, of web pages what they show"
	if slices.Contains(r.Formats, document.Mail) {
		text += "; a file that begins with the header of a mail is one, as training texts were"
	}
	if slices.Contains(r.Formats, document.HTML) {
		text += "; a file that begins as a web page is one, as training texts were"
	}
	return text
}

func (t TokensStep) String() string {
	of := "the tokens of " + t.For
	if t.Words() {
		of = "words, those of " + cmp.Or(t.Source, "a vocabulary")
	}
	kept := map[string]string{TruncateHead: "the first", TruncateTail: "the last", TruncateMiddle: "those of both ends"}[t.Truncate]
	if t.Truncate == TruncateWindow {
		return fmt.Sprintf("cut into %s, in windows of %d at most", of, t.Length)
	}
	return fmt.Sprintf("cut into %s, %d at most: %s stay", of, t.Length, kept)
}

func (e EncodingStep) String() string {
	precision := ""
	if e.Precision != "" {
		precision = ", precision " + e.Precision
	}
	return fmt.Sprintf("vector by the text encoder, SHA-256 %.12s, layer %s, pooling %s%s, %d numbers", e.Digest, e.Layer, e.Pooling, precision, e.Width)
}

func (t TermsStep) String() string {
	return fmt.Sprintf("weigh %d terms of up to %d words by tf-idf, as rare as in %d training texts", len(t.Holding), t.Longest, t.Texts)
}

func (w WordMeanStep) String() string {
	how := "mean"
	if w.SIF != nil {
		how = "SIF-weighted mean"
	}
	return fmt.Sprintf("%s of word vectors (%s), %d numbers, SHA-256 %.12s", how, w.Vectors, w.Width, w.Digest)
}

// mostTokens bounds the tokens of a text.
const mostTokens = 1 << 20

func (r ReadTextStep) check() error {
	for i, f := range r.Formats {
		if f != document.Mail && f != document.HTML || i > 0 && r.Formats[i-1] >= f {
			return fmt.Errorf("%q are not formats of files of texts in order", r.Formats)
		}
	}
	return nil
}

func (t TokensStep) check() error {
	switch {
	case t.Length < 1 || t.Length > mostTokens:
		return fmt.Errorf("%d is not a number of tokens", t.Length)
	case !slices.Contains([]string{TruncateHead, TruncateTail, TruncateMiddle, TruncateWindow}, t.Truncate):
		return fmt.Errorf("%q does not say which tokens stay", t.Truncate)
	case t.Truncate == TruncateWindow && t.Words():
		return errors.New("windows are of an encoder's tokens, not of words")
	case t.Words() != (t.Vocabulary != ""):
		return errors.New("words need a vocabulary, and tokens have none")
	}
	return nil
}

func (t TermsStep) check() error {
	if t.Longest < 1 || t.Longest > 64 || t.Texts < 0 || len(t.Holding) == 0 {
		return fmt.Errorf("%d terms of %d words in %d texts are not possible", len(t.Holding), t.Longest, t.Texts)
	}
	for _, n := range t.Holding {
		if n < 0 || n > t.Texts {
			return fmt.Errorf("a term in %d of %d texts is not possible", n, t.Texts)
		}
	}
	return nil
}

// mostWidth bounds the numbers of a vector.
const mostWidth = 1 << 16

func checkWidth(width int) error {
	if width < 1 || width > mostWidth {
		return fmt.Errorf("vectors of %d numbers are not possible", width)
	}
	return nil
}

func (e EncodingStep) check() error {
	if !slices.Contains([]string{"", "bf16", "int8"}, e.Precision) {
		return fmt.Errorf("there is no precision %q of an encoder (known: bf16, int8; none for fp32)", e.Precision)
	}
	return checkWidth(e.Width)
}

func (w WordMeanStep) check() error {
	if err := checkWidth(w.Width); err != nil {
		return err
	}
	s := w.SIF
	if s == nil {
		return nil
	}
	if !(s.A > 0) || math.IsInf(s.A, 0) || len(s.Places) != len(s.Counts) || len(s.Common) != w.Width && len(s.Common) != 0 {
		return fmt.Errorf("weights by a = %v of %d words with %d counts, with %d numbers in common, are not possible", s.A, len(s.Places), len(s.Counts), len(s.Common))
	}
	for i, at := range s.Places {
		if at < 0 || s.Counts[i] < 0 {
			return fmt.Errorf("word %d is there %d times, which is not possible", at, s.Counts[i])
		}
	}
	return nil
}

// OnTexts tells whether the steps begin with the file of a text.
func (t Transforms) OnTexts() bool {
	if len(t) == 0 {
		return false
	}
	_, ok := t[0].(ReadTextStep)
	return ok
}

// Formats are those that the training files of texts had beside plain text.
func (t Transforms) Formats() []document.Format {
	if !t.OnTexts() {
		return nil
	}
	return t[0].(ReadTextStep).Formats
}

// SameOfText tells whether two lists of steps, as [Transforms.Encode] writes them, make the same of a text: how files are read does not
// count.
func SameOfText(a, b string) bool {
	if a == b {
		return true
	}
	var x, y Transforms
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil || !x.OnTexts() || !y.OnTexts() {
		return false
	}
	x[0], y[0] = ReadTextStep{}, ReadTextStep{}
	first, err := json.Marshal(x)
	second, err2 := json.Marshal(y)
	return err == nil && err2 == nil && string(first) == string(second)
}

// ReadText is the step that reads texts whose metadata tells the formats of the training files.
func ReadText(metadata map[string]string) ReadTextStep {
	var step ReadTextStep
	for name := range strings.FieldsFuncSeq(metadata[FormatsKey], func(r rune) bool { return r == ',' }) {
		step.Formats = append(step.Formats, document.Format(name))
	}
	return step
}

// Encode gives the text that stands under [TransformsKey].
func (t Transforms) Encode() (string, error) {
	if err := t.Check(); err != nil {
		return "", err
	}
	text, err := json.Marshal(t)
	return string(text), err
}

// TokenTransforms are the steps to the tokens of texts that metadata tells of, by TokensKey, VocabularyKey and FormatsKey; none if it does
// not.
func TokenTransforms(metadata map[string]string) (Transforms, error) {
	text, ok := metadata[TokensKey]
	if !ok {
		return nil, nil
	}
	made, err := ParseTokenisation(text)
	if err != nil {
		return nil, err
	}
	steps := Transforms{ReadText(metadata), TokensStep{made, metadata[VocabularyKey]}}
	return steps, steps.Check()
}
