package report

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/tokenizer"
)

// tokenNames tells what tokens are called; "" if they are not shown.
type tokenNames interface{ Word(id int32) string }

// pieces are the tokens of an encoder's tokenizer, which are words or parts of words.
type pieces struct{ *tokenizer.Tokenizer }

// piecesOf finds the tokenizer that cut the texts which a node depends on, where the stage's parameter `for` says it lies. ok is false
// if it is no longer there, or was changed: then tokens have no names.
func piecesOf(run Run, n *Node, made record.Tokenisation) (_ pieces, ok bool) {
	for _, ancestor := range run.ancestors(n) {
		for _, p := range ancestor.Params {
			path, err := strconv.Unquote(p.Text)
			if p.Path != "for" || err != nil || path == "" {
				continue
			}
			if !filepath.IsAbs(path) {
				path = filepath.Join(filepath.Dir(run.File), path)
			}
			if sum, err := tokenizer.Digest(path); err != nil || sum != made.Digest {
				continue
			}
			if t, err := tokenizer.Read(path); err == nil {
				return pieces{t}, true
			}
		}
	}
	return pieces{}, false
}

// Word implements tokenNames: special tokens, such as [CLS], are not shown. A hyphen stands before what goes on with a word.
func (p pieces) Word(id int32) string {
	if id < 0 || int(id) >= p.Size() || p.Special(id) {
		return ""
	}
	name := p.Token(id)
	if rest, ok := strings.CutPrefix(name, "##"); ok { // WordPiece
		return "-" + rest
	}
	for _, space := range []string{"Ġ", "▁"} { // byte-level BPE, SentencePiece
		if rest, ok := strings.CutPrefix(name, space); ok {
			return rest
		}
	}
	return name
}
