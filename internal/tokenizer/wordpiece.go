package tokenizer

import "unicode/utf8"

// wordPiece cuts a word greedily into the longest tokens, from left to right: Wu et al., Google's Neural Machine Translation
// System (2016), as BERT has it.
type wordPiece struct {
	vocabulary map[string]int32
	prefix     string // of tokens that do not begin a word
	unk        int32
	longest    int // characters; longer words are unknown
	longestKey int // bytes of the longest token
}

func newWordPiece(vocabulary map[string]int32, prefix string, unk int32, longest int) *wordPiece {
	w := &wordPiece{vocabulary: vocabulary, prefix: prefix, unk: unk, longest: longest}
	for token := range vocabulary {
		w.longestKey = max(w.longestKey, len(token))
	}
	return w
}

func (w *wordPiece) unknown() (int32, bool) { return w.unk, true }

func (w *wordPiece) appendTokens(ids []int32, word string, s *scratch) []int32 {
	if len(word) > w.longest && utf8.RuneCountInString(word) > w.longest {
		return append(ids, w.unk)
	}
	start := len(ids)
	for at := 0; at < len(word); {
		key := s.bytes[:0]
		if at > 0 {
			key = append(key, w.prefix...)
		}
		prefix := len(key)
		end := min(len(word), at+w.longestKey)
		for end < len(word) && !utf8.RuneStart(word[end]) {
			end--
		}
		key = append(key, word[at:end]...)
		s.bytes = key
		for {
			if end <= at {
				return append(ids[:start], w.unk)
			}
			if id, ok := w.vocabulary[string(key[:prefix+end-at])]; ok {
				ids = append(ids, id)
				break
			}
			for end--; end > at && !utf8.RuneStart(word[end]); {
				end--
			}
		}
		at = end
	}
	return ids
}

// wholeWords takes words as they are.
type wholeWords struct {
	vocabulary map[string]int32
	unk        int32 // -1: unknown words are left out
}

func (w *wholeWords) unknown() (int32, bool) { return max(w.unk, 0), w.unk >= 0 }

func (w *wholeWords) appendTokens(ids []int32, word string, _ *scratch) []int32 {
	if id, ok := w.vocabulary[word]; ok {
		return append(ids, id)
	}
	if w.unk < 0 {
		return ids
	}
	return append(ids, w.unk)
}
