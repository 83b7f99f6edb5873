package tokenizer

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// Kinds of pieces in a SentencePiece model.
const (
	pieceNormal      = 1
	pieceUnknown     = 2
	pieceControl     = 3
	pieceUserDefined = 4
	pieceUnused      = 5
	pieceByte        = 6
)

// sentencePiece is what a SentencePiece model says (sentencepiece_model.proto).
type sentencePiece struct {
	pieces []string
	scores []float64
	kinds  []uint64

	kind   uint64 // 1 Unigram, 2 byte pairs, 3 words, 4 characters
	bytes  bool   // unknown characters become bytes
	table  []byte
	dummy  bool // a space is put before the text
	shrink bool // white space at the ends is dropped, and more than one becomes one
	escape bool // a space is written as its mark
}

// parseSentencePiece makes a tokenizer of a SentencePiece model. It puts no special tokens around a text: the model does not say
// which.
func parseSentencePiece(blob []byte) (*Tokenizer, error) {
	s := sentencePiece{kind: 1, dummy: true, shrink: true, escape: true}
	if err := fields(blob, func(number protowire.Number, value uint64, text []byte) error {
		switch number {
		case 1:
			return s.piece(text)
		case 2:
			return fields(text, func(number protowire.Number, value uint64, _ []byte) error {
				switch number {
				case 3:
					s.kind = value
				case 35:
					s.bytes = value != 0
				}
				return nil
			})
		case 3:
			return fields(text, func(number protowire.Number, value uint64, text []byte) error {
				switch number {
				case 2:
					s.table = text
				case 3:
					s.dummy = value != 0
				case 4:
					s.shrink = value != 0
				case 5:
					s.escape = value != 0
				}
				return nil
			})
		}
		return nil
	}); err != nil {
		return nil, err
	}
	return s.tokenizer()
}

// fields calls a function with each field of a message.
func fields(blob []byte, each func(number protowire.Number, value uint64, text []byte) error) error {
	for len(blob) > 0 {
		number, kind, n := protowire.ConsumeTag(blob)
		if n < 0 {
			return fmt.Errorf("read a SentencePiece model: %w", protowire.ParseError(n))
		}
		blob = blob[n:]
		var value uint64
		var text []byte
		switch kind {
		case protowire.VarintType:
			value, n = protowire.ConsumeVarint(blob)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(blob)
			value = uint64(v)
		case protowire.BytesType:
			text, n = protowire.ConsumeBytes(blob)
		default:
			n = protowire.ConsumeFieldValue(number, kind, blob)
		}
		if n < 0 {
			return fmt.Errorf("read a SentencePiece model: %w", protowire.ParseError(n))
		}
		blob = blob[n:]
		if err := each(number, value, text); err != nil {
			return err
		}
	}
	return nil
}

func (s *sentencePiece) piece(blob []byte) error {
	piece, score, kind := "", 0.0, uint64(pieceNormal)
	err := fields(blob, func(number protowire.Number, value uint64, text []byte) error {
		switch number {
		case 1:
			piece = string(text)
		case 2:
			score = float64(math.Float32frombits(uint32(value)))
		case 3:
			kind = value
		}
		return nil
	})
	s.pieces, s.scores, s.kinds = append(s.pieces, piece), append(s.scores, score), append(s.kinds, kind)
	return err
}

func (s *sentencePiece) tokenizer() (*Tokenizer, error) {
	if len(s.pieces) == 0 {
		return nil, errors.New("the SentencePiece model has no pieces")
	}
	unk := int32(slices.Index(s.kinds, pieceUnknown))
	if unk < 0 {
		return nil, errors.New("the SentencePiece model has no piece for unknown text")
	}
	vocabulary := make(map[string]int32, len(s.pieces))
	matched := make([]string, len(s.pieces)) // what the model finds in a text: "" for pieces that it does not
	var added []addedToken
	for i, p := range s.pieces {
		if _, twice := vocabulary[p]; twice {
			return nil, fmt.Errorf("the SentencePiece model has the piece %q twice", p)
		}
		vocabulary[p] = int32(i)
		switch s.kinds[i] {
		case pieceNormal:
			matched[i] = p
		case pieceUserDefined:
			added = append(added, addedToken{content: p, id: int32(i), normalised: true})
		}
	}
	t := &Tokenizer{}
	var err error
	switch s.kind {
	case 1:
		t.model, err = s.unigram(matched, unk)
	case 2:
		t.model, err = s.bytePairs(vocabulary, matched, unk)
	default:
		err = fmt.Errorf("the SentencePiece model cuts text into words or characters (model_type %d): Unigram and BPE are supported", s.kind)
	}
	if err != nil {
		return nil, err
	}
	n := spNormaliser{dummy: s.dummy, shrink: s.shrink, escape: s.escape}
	if len(s.table) > 0 {
		if n.table, err = readCharsMap(s.table); err != nil {
			return nil, fmt.Errorf("normalizer_spec: %w", err)
		}
	}
	// User-defined pieces stand in the text that the normaliser gives as they are.
	if err := t.build(vocabulary, added); err != nil {
		return nil, err
	}
	for i, kind := range s.kinds {
		if kind == pieceControl || kind == pieceUnknown {
			t.added.special[int32(i)] = true
		}
	}
	for _, a := range added {
		n.kept = append(n.kept, a.content)
	}
	slices.SortFunc(n.kept, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	t.normalise = n
	return t, nil
}

func (s *sentencePiece) unigram(matched []string, unk int32) (model, error) {
	u := &unigram{vocabulary: map[string]int32{}, scores: s.scores, unk: unk, trie: newTrie()}
	least := math.Inf(1)
	for i, p := range matched {
		if p == "" {
			continue
		}
		u.vocabulary[p] = int32(i)
		u.trie.add(p, int32(i))
		least = min(least, s.scores[i])
	}
	if math.IsInf(least, 0) || math.IsNaN(least) {
		return nil, errors.New("the SentencePiece model has no piece with a score")
	}
	u.unkScore = least - unknownPenalty
	if s.bytes {
		all := map[string]int32{}
		for i, kind := range s.kinds {
			if kind == pieceByte {
				all[s.pieces[i]] = int32(i)
			}
		}
		u.bytes = newByteTokens(all)
	}
	return u, nil
}

// bytePairs makes merges of the scores: a pair is joined if the two together are a piece, that of the highest score first.
func (s *sentencePiece) bytePairs(vocabulary map[string]int32, matched []string, unk int32) (model, error) {
	known := make(map[string]int32, len(matched))
	for i, p := range matched {
		if p != "" {
			known[p] = int32(i)
		}
	}
	order := make([]int, 0, len(matched))
	for i, p := range matched {
		if p != "" {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(s.scores[b], s.scores[a]) })
	b := &bytePairs{vocabulary: known, merges: map[pair]merge{}, unk: unk, fuse: true}
	for rank, i := range order {
		p := matched[i]
		if len(p) > maxPiece {
			return nil, fmt.Errorf("the SentencePiece model has a piece of %d bytes: at most %d", len(p), maxPiece)
		}
		for at := range p {
			left, ok := known[p[:at]]
			right, okRight := known[p[at:]]
			if at > 0 && ok && okRight {
				b.merges[pair{left, right}] = merge{int32(rank), int32(i)}
			}
		}
	}
	if s.bytes {
		b.bytes = newByteTokens(vocabulary)
	}
	return b, nil
}

const maxPiece = 1024

// spNormaliser is SentencePiece's own: replacements by the longest text of its table, white space, and a mark for spaces.
type spNormaliser struct {
	table  *charsMap
	kept   []string // user-defined pieces, the longest first, which stay as they are
	dummy  bool
	shrink bool
	escape bool
}

func (n spNormaliser) normalise(text string) string {
	var out strings.Builder
	out.Grow(len(text) + 8)
	space := " "
	if n.escape {
		space = "▁"
	}
	atStart, pending := true, false
	if n.dummy {
		pending = true
	}
	write := func(chunk string) {
		for len(chunk) > 0 {
			i := strings.IndexByte(chunk, ' ')
			word := chunk
			if i >= 0 {
				word = chunk[:i]
			}
			if word != "" {
				if pending {
					out.WriteString(space)
				}
				pending, atStart = false, false
				out.WriteString(word)
			}
			if i < 0 {
				return
			}
			chunk = chunk[i+1:]
			switch {
			case !n.shrink:
				if pending {
					out.WriteString(space)
				}
				pending, atStart = true, false
			case !atStart:
				pending = true
			}
		}
	}
	for len(text) > 0 {
		if kept := n.keeps(text); kept != "" {
			write(kept)
			text = text[len(kept):]
			continue
		}
		if n.table != nil {
			if replacement, length := n.table.prefix(text, true); length > 0 {
				write(string(replacement))
				text = text[length:]
				continue
			}
		}
		_, length := utf8.DecodeRuneInString(text)
		write(text[:length])
		text = text[length:]
	}
	if pending && !n.shrink {
		out.WriteString(space)
	}
	return out.String()
}

func (n spNormaliser) keeps(text string) string {
	for _, k := range n.kept {
		if k != "" && strings.HasPrefix(text, k) {
			return k
		}
	}
	return ""
}
