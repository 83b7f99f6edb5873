package tokenizer

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// unigram cuts a word into the tokens whose logarithmic probabilities sum to the most: Kudo, Subword Regularization (2018),
// by Viterbi's algorithm.
type unigram struct {
	vocabulary map[string]int32
	scores     []float64 // by id
	trie       *trie
	unk        int32 // -1: there is none, and unknown characters are left out
	unkScore   float64
	bytes      byteTokens
}

// unknownPenalty is how much less likely an unknown character is than the rarest token.
const unknownPenalty = 10

func newUnigram(pieces []string, scores []float64, unk int32, bytes bool) (*unigram, error) {
	if len(pieces) == 0 {
		return nil, errors.New("the vocabulary is empty")
	}
	if int(unk) >= len(pieces) || unk < -1 {
		return nil, fmt.Errorf("unk_id %d: the vocabulary has %d tokens", unk, len(pieces))
	}
	u := &unigram{vocabulary: make(map[string]int32, len(pieces)), scores: scores, unk: unk, trie: newTrie()}
	least := math.Inf(1)
	for i, p := range pieces {
		if math.IsNaN(scores[i]) || math.IsInf(scores[i], 0) {
			return nil, fmt.Errorf("token %d, %q, has the score %v", i, p, scores[i])
		}
		u.vocabulary[p] = int32(i)
		least = min(least, scores[i])
		if p != "" {
			u.trie.add(p, int32(i))
		}
	}
	u.unkScore = least - unknownPenalty
	if bytes {
		u.bytes = newByteTokens(u.vocabulary)
	}
	return u, nil
}

func (u *unigram) unknown() (int32, bool) { return max(u.unk, 0), u.unk >= 0 }

// node is the best way to get to a place in the word.
type node struct {
	score float64
	from  int32 // -1: there is no way yet
	id    int32 // of the token that ends here
}

// match is a token that begins at a place.
type match struct {
	length int
	id     int32
}

func (u *unigram) appendTokens(ids []int32, word string, s *scratch) []int32 {
	nodes := s.nodes[:0]
	for range len(word) + 1 {
		nodes = append(nodes, node{from: -1})
	}
	s.nodes = nodes
	way := func(from, to int, id int32, score float64) {
		if n := &nodes[to]; n.from < 0 || score > n.score {
			*n = node{score, int32(from), id}
		}
	}
	for at := 0; at < len(word); {
		_, char := utf8.DecodeRuneInString(word[at:])
		single := false
		s.found = u.trie.prefixes(s.found[:0], word[at:])
		for _, m := range s.found {
			way(at, at+m.length, m.id, nodes[at].score+u.scores[m.id])
			single = single || m.length == char
		}
		if !single {
			way(at, at+char, unknownHere, nodes[at].score+u.unkScore)
		}
		at += char
	}
	// Backwards, unknown characters beside each other as one.
	start := len(ids)
	for end := len(word); end > 0; {
		n := nodes[end]
		from := int(n.from)
		if n.id != unknownHere && n.id != u.unk {
			ids = append(ids, n.id)
			end = from
			continue
		}
		for from > 0 && (nodes[from].id == unknownHere || nodes[from].id == u.unk) {
			from = int(nodes[from].from)
		}
		ids = u.appendUnknown(ids, word[from:end], s)
		end = from
	}
	for l, r := start, len(ids)-1; l < r; l, r = l+1, r-1 {
		ids[l], ids[r] = ids[r], ids[l]
	}
	return ids
}

const unknownHere = -2

// appendUnknown appends what stands for an unknown text, its end first.
func (u *unigram) appendUnknown(ids []int32, text string, s *scratch) []int32 {
	if id, ok := u.vocabulary[text]; ok {
		return append(ids, id)
	}
	s.bytes = append(s.bytes[:0], text...)
	if u.bytes.all(s.bytes) {
		for i := len(text) - 1; i >= 0; i-- {
			ids = append(ids, u.bytes[text[i]])
		}
		return ids
	}
	if u.unk < 0 {
		return ids
	}
	return append(ids, u.unk)
}

// trie finds the tokens that a text begins with. Its nodes lie in one slice; edges are found in a map by node and byte, except
// those of the root.
type trie struct {
	root  [256]int32
	edges map[uint64]int32
	ids   []int32 // by node, -1 where no token ends
}

func newTrie() *trie {
	return &trie{edges: map[uint64]int32{}, ids: []int32{-1}}
}

func (t *trie) next(node int32, c byte) int32 {
	if node == 0 {
		return t.root[c]
	}
	return t.edges[uint64(node)<<8|uint64(c)]
}

func (t *trie) add(token string, id int32) {
	node := int32(0)
	for i := range len(token) {
		next := t.next(node, token[i])
		if next == 0 {
			next = int32(len(t.ids))
			t.ids = append(t.ids, -1)
			if node == 0 {
				t.root[token[i]] = next
			} else {
				t.edges[uint64(node)<<8|uint64(token[i])] = next
			}
		}
		node = next
	}
	t.ids[node] = id
}

// prefixes appends the tokens that the text begins with, the shortest first.
func (t *trie) prefixes(out []match, text string) []match {
	node := int32(0)
	for i := range len(text) {
		if node = t.next(node, text[i]); node == 0 {
			return out
		}
		if t.ids[node] >= 0 {
			out = append(out, match{i + 1, t.ids[node]})
		}
	}
	return out
}
