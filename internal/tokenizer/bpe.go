package tokenizer

import (
	"fmt"
	"unicode/utf8"
)

// bytePairs joins neighbouring symbols of a word, the pair that was learned first before others: Sennrich, Haddow, Birch, Neural
// Machine Translation of Rare Words with Subword Units (2016).
type bytePairs struct {
	vocabulary map[string]int32
	merges     map[pair]merge
	prefix     string     // of symbols that do not begin a word
	suffix     string     // of the symbol that ends a word
	unk        int32      // -1: unknown characters are left out
	fuse       bool       // unknown characters beside each other are one token
	whole      bool       // a word that is a token is that token, whatever the merges give
	bytes      byteTokens // that unknown characters become
}

type pair struct{ left, right int32 }

type merge struct {
	rank int32
	id   int32
}

// newBytePairs checks that all that merges name is there.
func newBytePairs(b bytePairs, merges [][2]string) (*bytePairs, error) {
	b.merges = make(map[pair]merge, len(merges))
	for rank, m := range merges {
		left, ok := b.vocabulary[m[0]]
		right, okRight := b.vocabulary[m[1]]
		if !ok || !okRight {
			missing := m[0]
			if ok {
				missing = m[1]
			}
			return nil, fmt.Errorf("merge %d joins %q and %q, but %q is not in the vocabulary", rank, m[0], m[1], missing)
		}
		joined := m[0] + m[1]
		if b.prefix != "" && len(m[1]) >= len(b.prefix) {
			joined = m[0] + m[1][len(b.prefix):]
		}
		id, ok := b.vocabulary[joined]
		if !ok {
			return nil, fmt.Errorf("merge %d makes %q, which is not in the vocabulary", rank, joined)
		}
		b.merges[pair{left, right}] = merge{int32(rank), id}
	}
	return &b, nil
}

func (b *bytePairs) unknown() (int32, bool) { return max(b.unk, 0), b.unk >= 0 }

// symbol is a part of a word, in a list of those that are left.
type symbol struct {
	id           int32
	before, next int32 // -1: none
	gone         bool
}

// candidate is a pair of symbols that may be joined.
type candidate struct {
	rank, at int32 // at is the left symbol
	id       int32 // of both together
}

func (b *bytePairs) appendTokens(ids []int32, word string, s *scratch) []int32 {
	if b.whole {
		if id, ok := b.vocabulary[word]; ok {
			return append(ids, id)
		}
	}
	s.symbols = b.characters(s.symbols[:0], word, s)
	if len(s.symbols) > 1 {
		b.join(s)
	}
	for _, symbol := range s.symbols {
		if !symbol.gone {
			ids = append(ids, symbol.id)
		}
	}
	return ids
}

// characters are the symbols that a word begins as.
func (b *bytePairs) characters(out []symbol, word string, s *scratch) []symbol {
	unknown := false // the last symbol is
	add := func(id int32) {
		n := int32(len(out))
		if n > 0 {
			out[n-1].next = n
		}
		out = append(out, symbol{id: id, before: n - 1, next: -1})
	}
	for at := 0; at < len(word); {
		_, n := utf8.DecodeRuneInString(word[at:])
		end := at + n
		key := s.bytes[:0]
		if at > 0 {
			key = append(key, b.prefix...)
		}
		key = append(key, word[at:end]...)
		if end == len(word) {
			key = append(key, b.suffix...)
		}
		s.bytes = key
		id, ok := b.vocabulary[string(key)]
		switch {
		case ok:
			add(id)
			unknown = false
		case b.bytes.all(key):
			for _, c := range key {
				add(b.bytes[c])
			}
			unknown = false
		case b.unk >= 0:
			if !b.fuse || !unknown {
				add(b.unk)
			}
			unknown = true
		}
		at = end
	}
	return out
}

// join joins pairs until there is none left that was learned.
func (b *bytePairs) join(s *scratch) {
	queue := (*candidates)(&s.queue)
	*queue = (*queue)[:0]
	offer := func(left, right int32) {
		if left < 0 || right < 0 {
			return
		}
		if m, ok := b.merges[pair{s.symbols[left].id, s.symbols[right].id}]; ok {
			queue.push(candidate{m.rank, left, m.id})
		}
	}
	for i := range len(s.symbols) - 1 {
		offer(int32(i), int32(i+1))
	}
	for len(*queue) > 0 {
		c := queue.pop()
		left := &s.symbols[c.at]
		if left.gone || left.next < 0 {
			continue
		}
		right := &s.symbols[left.next]
		// One of them may have become another symbol since.
		if m, ok := b.merges[pair{left.id, right.id}]; !ok || m.id != c.id {
			continue
		}
		left.id, left.next, right.gone = c.id, right.next, true
		if right.next >= 0 {
			s.symbols[right.next].before = c.at
		}
		offer(left.before, c.at)
		offer(c.at, left.next)
	}
}

// candidates is a heap: the lowest rank first, and of equal ones the leftmost.
type candidates []candidate

func (q candidates) less(i, j int) bool {
	return q[i].rank < q[j].rank || q[i].rank == q[j].rank && q[i].at < q[j].at
}

func (q *candidates) push(c candidate) {
	*q = append(*q, c)
	for i := len(*q) - 1; i > 0; {
		parent := (i - 1) / 2
		if !q.less(i, parent) {
			return
		}
		(*q)[i], (*q)[parent] = (*q)[parent], (*q)[i]
		i = parent
	}
}

func (q *candidates) pop() candidate {
	h := *q
	top, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	*q = h
	for i := 0; ; {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < last; child++ {
			if h.less(child, least) {
				least = child
			}
		}
		if least == i {
			return top
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
}

// byteTokens are the tokens <0x00> to <0xFF>, -1 for those that there are not; nil if they are not used.
type byteTokens []int32

func newByteTokens(vocabulary map[string]int32) byteTokens {
	out := make(byteTokens, 256)
	for i := range out {
		id, ok := vocabulary[fmt.Sprintf("<0x%02X>", i)]
		if !ok {
			id = -1
		}
		out[i] = id
	}
	return out
}

// all tells whether each byte of a text is a token.
func (b byteTokens) all(text []byte) bool {
	for _, c := range text {
		if b == nil || b[c] < 0 {
			return false
		}
	}
	return b != nil
}
