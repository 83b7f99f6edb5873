package tokenizer

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// parseJSON makes a tokenizer of a tokenizer.json.
func parseJSON(text []byte) (*Tokenizer, error) {
	var file struct {
		Added []struct {
			ID         int32  `json:"id"`
			Content    string `json:"content"`
			SingleWord bool   `json:"single_word"`
			LStrip     bool   `json:"lstrip"`
			RStrip     bool   `json:"rstrip"`
			Normalized bool   `json:"normalized"`
			Special    bool   `json:"special"`
		} `json:"added_tokens"`
		Normalizer    json.RawMessage `json:"normalizer"`
		PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
		PostProcessor json.RawMessage `json:"post_processor"`
		Model         json.RawMessage `json:"model"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	t := &Tokenizer{}
	var vocabulary map[string]int32
	var err error
	if absent(file.Model) {
		return nil, errors.New("there is no model")
	}
	if t.model, vocabulary, err = parseModel(file.Model); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if t.normalise, err = parseNormaliser(file.Normalizer, maxNested); err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	if t.pretoken, err = parsePretokeniser(file.PreTokenizer, maxNested); err != nil {
		return nil, fmt.Errorf("pre_tokenizer: %w", err)
	}
	var added []addedToken
	for _, a := range file.Added {
		added = append(added, addedToken{a.Content, a.ID, a.Special, a.SingleWord, a.LStrip, a.RStrip, a.Normalized})
	}
	if err := t.build(maps.Clone(vocabulary), added); err != nil {
		return nil, err
	}
	if t.template, err = parseTemplate(file.PostProcessor, t, maxNested); err != nil {
		return nil, fmt.Errorf("post_processor: %w", err)
	}
	return t, nil
}

// maxNested is how deep lists of steps may stand in each other.
const maxNested = 8

var errNested = fmt.Errorf("lists of steps stand in each other more than %d deep", maxNested)

func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// typeOf is the word that says what a step is.
func typeOf(raw json.RawMessage) (string, error) {
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return "", err
	}
	return head.Type, nil
}

// decode reads the settings of a step, and says which.
func decode(raw json.RawMessage, kind string, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	return nil
}

func parseModel(raw json.RawMessage) (model, map[string]int32, error) {
	var m struct {
		Type    string          `json:"type"`
		Vocab   json.RawMessage `json:"vocab"`
		Merges  json.RawMessage `json:"merges"`
		Unk     *string         `json:"unk_token"`
		UnkID   *int32          `json:"unk_id"`
		Prefix  *string         `json:"continuing_subword_prefix"`
		Suffix  *string         `json:"end_of_word_suffix"`
		Longest *int            `json:"max_input_chars_per_word"`
		Fuse    bool            `json:"fuse_unk"`
		Bytes   bool            `json:"byte_fallback"`
		Whole   bool            `json:"ignore_merges"`
		Dropout *float64        `json:"dropout"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, nil, err
	}
	if m.Type == "" { // files of early versions do not say it
		switch {
		case !absent(m.Merges):
			m.Type = "BPE"
		case m.Prefix != nil:
			m.Type = "WordPiece"
		case len(m.Vocab) > 0 && m.Vocab[0] == '[':
			m.Type = "Unigram"
		default:
			m.Type = "WordLevel"
		}
	}
	if m.Type == "Unigram" {
		return parseUnigram(m.Vocab, m.UnkID, m.Bytes)
	}
	var vocabulary map[string]int32
	if err := json.Unmarshal(m.Vocab, &vocabulary); err != nil {
		return nil, nil, fmt.Errorf("vocab: %w", err)
	}
	unk := int32(-1)
	if m.Unk != nil && *m.Unk != "" {
		id, ok := vocabulary[*m.Unk]
		if !ok {
			return nil, nil, fmt.Errorf("unk_token %q is not in the vocabulary", *m.Unk)
		}
		unk = id
	}
	switch m.Type {
	case "WordPiece":
		if unk < 0 {
			return nil, nil, errors.New("WordPiece needs an unk_token")
		}
		longest := 100
		if m.Longest != nil {
			longest = *m.Longest
		}
		return newWordPiece(vocabulary, text(m.Prefix, "##"), unk, longest), vocabulary, nil
	case "WordLevel":
		return &wholeWords{vocabulary, unk}, vocabulary, nil
	case "BPE":
		if m.Dropout != nil && *m.Dropout != 0 {
			return nil, nil, fmt.Errorf("dropout %v: tokens that change from time to time are not supported", *m.Dropout)
		}
		merges, err := parseMerges(m.Merges)
		if err != nil {
			return nil, nil, fmt.Errorf("merges: %w", err)
		}
		b := bytePairs{vocabulary: vocabulary, prefix: text(m.Prefix, ""), suffix: text(m.Suffix, ""), unk: unk, fuse: m.Fuse, whole: m.Whole}
		if m.Bytes {
			b.bytes = newByteTokens(vocabulary)
		}
		model, err := newBytePairs(b, merges)
		return model, vocabulary, err
	}
	return nil, nil, fmt.Errorf("there is no model %q: WordPiece, BPE, Unigram or WordLevel", m.Type)
}

func text(given *string, otherwise string) string {
	if given == nil {
		return otherwise
	}
	return *given
}

// parseMerges reads pairs: each a list of two, or, in older files, a text with a space between.
func parseMerges(raw json.RawMessage) ([][2]string, error) {
	var pairs [][]string
	if err := json.Unmarshal(raw, &pairs); err == nil {
		out := make([][2]string, len(pairs))
		for i, p := range pairs {
			if len(p) != 2 {
				return nil, fmt.Errorf("merge %d joins %d tokens", i, len(p))
			}
			out[i] = [2]string{p[0], p[1]}
		}
		return out, nil
	}
	var lines []string
	if err := json.Unmarshal(raw, &lines); err != nil {
		return nil, err
	}
	return splitMerges(lines)
}

func splitMerges(lines []string) ([][2]string, error) {
	out := make([][2]string, len(lines))
	for i, line := range lines {
		left, right, ok := strings.Cut(line, " ")
		if !ok || strings.Contains(right, " ") {
			return nil, fmt.Errorf("merge %d, %q, is not two tokens with a space between", i, line)
		}
		out[i] = [2]string{left, right}
	}
	return out, nil
}

func parseUnigram(vocab json.RawMessage, unk *int32, bytes bool) (model, map[string]int32, error) {
	var entries [][]json.RawMessage
	if err := json.Unmarshal(vocab, &entries); err != nil {
		return nil, nil, fmt.Errorf("vocab: %w", err)
	}
	pieces, scores := make([]string, len(entries)), make([]float64, len(entries))
	for i, e := range entries {
		if len(e) != 2 {
			return nil, nil, fmt.Errorf("vocab: entry %d has %d parts: want a token and its score", i, len(e))
		}
		if err := errors.Join(json.Unmarshal(e[0], &pieces[i]), json.Unmarshal(e[1], &scores[i])); err != nil {
			return nil, nil, fmt.Errorf("vocab: entry %d: %w", i, err)
		}
	}
	id := int32(-1)
	if unk != nil {
		id = *unk
	}
	u, err := newUnigram(pieces, scores, id, bytes)
	if err != nil {
		return nil, nil, err
	}
	return u, u.vocabulary, nil
}

func parseNormaliser(raw json.RawMessage, depth int) (normaliser, error) {
	if absent(raw) {
		return nil, nil
	}
	if depth == 0 {
		return nil, errNested
	}
	kind, err := typeOf(raw)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "Sequence":
		var s struct {
			Normalizers []json.RawMessage `json:"normalizers"`
		}
		if err := decode(raw, kind, &s); err != nil {
			return nil, err
		}
		var all each
		for _, one := range s.Normalizers {
			n, err := parseNormaliser(one, depth-1)
			if err != nil {
				return nil, err
			}
			if n != nil {
				all = append(all, n)
			}
		}
		return all, nil
	case "BertNormalizer":
		s := struct {
			Clean   bool  `json:"clean_text"`
			Chinese bool  `json:"handle_chinese_chars"`
			Accents *bool `json:"strip_accents"` // as lowercase if it is not said
			Lower   bool  `json:"lowercase"`
		}{Clean: true, Chinese: true, Lower: true}
		if err := decode(raw, kind, &s); err != nil {
			return nil, err
		}
		n := bertNormaliser{s.Clean, s.Chinese, s.Lower, s.Lower}
		if s.Accents != nil {
			n.accents = *s.Accents
		}
		return n, nil
	case "Lowercase":
		return textFunc(lower), nil
	case "NFC":
		return form(norm.NFC), nil
	case "NFD":
		return form(norm.NFD), nil
	case "NFKC":
		return form(norm.NFKC), nil
	case "NFKD":
		return form(norm.NFKD), nil
	case "StripAccents":
		return textFunc(withoutMarks), nil
	case "Nmt":
		return textFunc(nmt), nil
	case "ByteLevel":
		return textFunc(toLetters), nil
	case "Strip":
		s := struct {
			Left  bool `json:"strip_left"`
			Right bool `json:"strip_right"`
		}{true, true}
		if err := decode(raw, kind, &s); err != nil {
			return nil, err
		}
		return strip{s.Left, s.Right}, nil
	case "Prepend":
		var s struct {
			Prepend string `json:"prepend"`
		}
		if err := decode(raw, kind, &s); err != nil {
			return nil, err
		}
		return prepend(s.Prepend), nil
	case "Replace":
		var s struct {
			Pattern patternJSON `json:"pattern"`
			Content string      `json:"content"`
		}
		if err := decode(raw, kind, &s); err != nil {
			return nil, err
		}
		if s.Pattern.Regex == nil {
			if s.Pattern.String == nil || *s.Pattern.String == "" {
				return nil, errors.New("Replace: the pattern is empty")
			}
			return replace{old: *s.Pattern.String, new: s.Content}, nil
		}
		p, err := compile(*s.Pattern.Regex)
		if err != nil {
			return nil, fmt.Errorf("Replace: %w", err)
		}
		if p.trailing > 0 {
			return nil, fmt.Errorf(`Replace: the regular expression %q: \s+(?!\S) is supported in pre-tokenizers alone`, *s.Pattern.Regex)
		}
		return replace{pattern: p.expression, new: s.Content}, nil
	case "Precompiled":
		var s struct {
			Table string `json:"precompiled_charsmap"`
		}
		if err := decode(raw, kind, &s); err != nil {
			return nil, err
		}
		blob, err := base64.StdEncoding.DecodeString(s.Table)
		if err != nil {
			return nil, fmt.Errorf("Precompiled: %w", err)
		}
		if len(blob) == 0 {
			return nil, nil
		}
		table, err := readCharsMap(blob)
		if err != nil {
			return nil, fmt.Errorf("Precompiled: %w", err)
		}
		return precompiled{table}, nil
	}
	return nil, fmt.Errorf("there is no normaliser %q: BertNormalizer, ByteLevel, Lowercase, NFC, NFD, NFKC, NFKD, Nmt, Precompiled, Prepend, Replace, Sequence, Strip or StripAccents", kind)
}

// patternJSON is what is looked for: a text or an expression.
type patternJSON struct {
	String *string `json:"String"`
	Regex  *string `json:"Regex"`
}

func parsePretokeniser(raw json.RawMessage, depth int) (pretokeniser, error) {
	if absent(raw) {
		return nil, nil
	}
	if depth == 0 {
		return nil, errNested
	}
	kind, err := typeOf(raw)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "Sequence":
		var s struct {
			Pretokenizers []json.RawMessage `json:"pretokenizers"`
		}
		if err := decode(raw, kind, &s); err != nil {
			return nil, err
		}
		var all inTurn
		for _, one := range s.Pretokenizers {
			p, err := parsePretokeniser(one, depth-1)
			if err != nil {
				return nil, err
			}
			if p != nil {
				all = append(all, p)
			}
		}
		return all, nil
	case "BertPreTokenizer":
		return bertSplit{}, nil
	case "Whitespace":
		return wordSplit{}, nil
	case "WhitespaceSplit":
		return charSplit{isSpace, removed}, nil
	case "Punctuation":
		s := struct {
			Behaviour behaviour `json:"behavior"`
		}{"Isolated"}
		if err := decode(raw, kind, &s); err != nil {
			return nil, err
		}
		b, err := parseBehaviour(kind, s.Behaviour)
		return charSplit{isPunctuation, b}, err
	case "Digits":
		var s struct {
			Individual bool `json:"individual_digits"`
		}
		if err := decode(raw, kind, &s); err != nil {
			return nil, err
		}
		if s.Individual {
			return charSplit{isNumeric, isolated}, nil
		}
		return charSplit{isNumeric, contiguous}, nil
	case "CharDelimiterSplit":
		var s struct {
			Delimiter string `json:"delimiter"`
		}
		if err := decode(raw, kind, &s); err != nil {
			return nil, err
		}
		if len([]rune(s.Delimiter)) != 1 {
			return nil, fmt.Errorf("CharDelimiterSplit: the delimiter %q is not one character", s.Delimiter)
		}
		return charSplit{func(r rune) bool { return string(r) == s.Delimiter }, removed}, nil
	case "ByteLevel":
		s := struct {
			Space bool  `json:"add_prefix_space"`
			Words *bool `json:"use_regex"`
		}{}
		if err := decode(raw, kind, &s); err != nil {
			return nil, err
		}
		return byteLevel{s.Space, s.Words == nil || *s.Words}, nil
	case "Metaspace":
		var s struct {
			Mark   string  `json:"replacement"`
			Scheme *string `json:"prepend_scheme"`
			Space  *bool   `json:"add_prefix_space"` // of older files
			Split  *bool   `json:"split"`
		}
		if err := decode(raw, kind, &s); err != nil {
			return nil, err
		}
		m := metaspace{mark: s.Mark, scheme: "always", cut: s.Split == nil || *s.Split}
		switch {
		case s.Scheme != nil:
			m.scheme = *s.Scheme
		case s.Space != nil && !*s.Space:
			m.scheme = "never"
		}
		if m.mark == "" {
			m.mark = "▁"
		}
		if !slices.Contains([]string{"always", "first", "never"}, m.scheme) {
			return nil, fmt.Errorf("Metaspace: there is no prepend_scheme %q", m.scheme)
		}
		return m, nil
	case "Split":
		var s struct {
			Pattern   patternJSON `json:"pattern"`
			Behaviour behaviour   `json:"behavior"`
			Invert    bool        `json:"invert"`
		}
		if err := decode(raw, kind, &s); err != nil {
			return nil, err
		}
		b, err := parseBehaviour(kind, s.Behaviour)
		if err != nil {
			return nil, err
		}
		expression := ""
		switch {
		case s.Pattern.Regex != nil:
			expression = *s.Pattern.Regex
		case s.Pattern.String != nil:
			expression = quote(*s.Pattern.String)
		}
		if expression == "" {
			return nil, errors.New("Split: the pattern is empty")
		}
		p, err := compile(expression)
		if err != nil {
			return nil, fmt.Errorf("Split: %w", err)
		}
		return patternSplit{p, b, s.Invert}, nil
	}
	return nil, fmt.Errorf("there is no pre-tokeniser %q: BertPreTokenizer, ByteLevel, CharDelimiterSplit, Digits, Metaspace, Punctuation, Sequence, Split, Whitespace or WhitespaceSplit", kind)
}

// quote writes a text as an expression that matches it alone.
func quote(text string) string {
	var out strings.Builder
	for _, r := range text {
		fmt.Fprintf(&out, `\x{%x}`, r)
	}
	return out.String()
}

func parseBehaviour(kind string, b behaviour) (behaviour, error) {
	b = behaviour(strings.ToLower(strings.ReplaceAll(string(b), "_", "")))
	if !b.known() {
		return "", fmt.Errorf("%s: there is no behavior %q", kind, b)
	}
	return b, nil
}

func parseTemplate(raw json.RawMessage, t *Tokenizer, depth int) (template, error) {
	if absent(raw) {
		return template{}, nil
	}
	if depth == 0 {
		return template{}, errNested
	}
	kind, err := typeOf(raw)
	if err != nil {
		return template{}, err
	}
	switch kind {
	case "ByteLevel":
		return template{}, nil
	case "Sequence":
		var s struct {
			Processors []json.RawMessage `json:"processors"`
		}
		if err := decode(raw, kind, &s); err != nil {
			return template{}, err
		}
		var whole template
		for _, one := range s.Processors {
			inner, err := parseTemplate(one, t, depth-1)
			if err != nil {
				return template{}, err
			}
			whole.before = slices.Concat(inner.before, whole.before)
			whole.after = slices.Concat(whole.after, inner.after)
		}
		return whole, nil
	case "BertProcessing", "RobertaProcessing":
		var s struct {
			Sep []any `json:"sep"`
			Cls []any `json:"cls"`
		}
		if err := decode(raw, kind, &s); err != nil {
			return template{}, err
		}
		before, err := t.named(s.Cls)
		if err != nil {
			return template{}, fmt.Errorf("%s: cls: %w", kind, err)
		}
		after, err := t.named(s.Sep)
		if err != nil {
			return template{}, fmt.Errorf("%s: sep: %w", kind, err)
		}
		return template{[]int32{before}, []int32{after}}, nil
	case "TemplateProcessing":
		return t.parseTemplateProcessing(raw)
	}
	return template{}, fmt.Errorf("there is no post-processor %q: BertProcessing, ByteLevel, RobertaProcessing, Sequence or TemplateProcessing", kind)
}

// named reads a token as [text, id].
func (t *Tokenizer) named(pair []any) (int32, error) {
	if len(pair) == 2 {
		token, isText := pair[0].(string)
		id, isNumber := pair[1].(float64)
		if isText && isNumber && t.tokens[int32(id)] == token && float64(int32(id)) == id {
			return int32(id), nil
		}
	}
	return 0, fmt.Errorf("%v is no token of the vocabulary", pair)
}

func (t *Tokenizer) parseTemplateProcessing(raw json.RawMessage) (template, error) {
	type special struct {
		ID string `json:"id"`
	}
	var s struct {
		Single []struct {
			Special  *special `json:"SpecialToken"`
			Sequence *special `json:"Sequence"`
		} `json:"single"`
		Tokens map[string]struct {
			IDs []int32 `json:"ids"`
		} `json:"special_tokens"`
	}
	if err := decode(raw, "TemplateProcessing", &s); err != nil {
		return template{}, err
	}
	var out template
	seen := false
	for _, part := range s.Single {
		switch {
		case part.Sequence != nil && !seen:
			seen = true
		case part.Special != nil:
			named, ok := s.Tokens[part.Special.ID]
			if !ok {
				return template{}, fmt.Errorf("TemplateProcessing: %q is not among its special_tokens", part.Special.ID)
			}
			for _, id := range named.IDs {
				if _, ok := t.tokens[id]; !ok {
					return template{}, fmt.Errorf("TemplateProcessing: %q has the id %d, which no token has", part.Special.ID, id)
				}
			}
			if seen {
				out.after = append(out.after, named.IDs...)
			} else {
				out.before = append(out.before, named.IDs...)
			}
		default:
			return template{}, errors.New("TemplateProcessing: single wants one sequence among special tokens")
		}
	}
	if !seen {
		return template{}, errors.New("TemplateProcessing: single has no sequence")
	}
	return out, nil
}
