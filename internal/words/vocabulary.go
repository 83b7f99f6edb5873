package words

import (
	"bytes"
	"cmp"
	"compress/flate"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
)

// Ids that are no words.
const (
	Padding   = 0
	Unknown   = 1
	FirstWord = 2
)

// MostWords bounds a vocabulary.
const MostWords = 4_000_000

// Vocabulary is the words that are known.
type Vocabulary struct {
	words []string
	ids   map[string]int32
}

// NewVocabulary is of these words, in their order; each must be there once.
func NewVocabulary(words []string) (*Vocabulary, error) {
	if len(words) > MostWords {
		return nil, fmt.Errorf("a vocabulary of %d words: the limit is %d", len(words), MostWords)
	}
	v := &Vocabulary{words: words, ids: make(map[string]int32, len(words))}
	for i, word := range words {
		if _, again := v.ids[word]; again {
			return nil, fmt.Errorf("the vocabulary has the word %q twice", word)
		}
		v.ids[word] = int32(i + FirstWord)
	}
	return v, nil
}

// Frequent is of the most frequent words of texts: at most so many, each of them in at least so many texts. Words that are
// equally frequent stand in the order of the alphabet.
func Frequent(texts iter.Seq[string], most, least int) *Vocabulary {
	counts := map[string]int{}
	holding := map[string]int{} // texts that hold a word
	last := map[string]int{}    // the last of them, from 1
	number := 0
	for text := range texts {
		number++
		for word := range In(text) {
			counts[word]++
			if last[word] != number {
				last[word] = number
				holding[word]++
			}
		}
	}
	all := slices.Collect(maps.Keys(counts))
	all = slices.DeleteFunc(all, func(word string) bool { return holding[word] < least })
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
	all = all[:min(len(all), most, MostWords)]
	v, _ := NewVocabulary(slices.Clip(all)) // keys of a map are there once
	return v
}

// Len is how many words there are.
func (v *Vocabulary) Len() int { return len(v.words) }

// Ids is how many ids there are.
func (v *Vocabulary) Ids() int { return len(v.words) + FirstWord }

// ID of a word: [Unknown] for one that the vocabulary does not have.
func (v *Vocabulary) ID(word string) int32 {
	if id, ok := v.ids[word]; ok {
		return id
	}
	return Unknown
}

// Word of an id; "" for one that is no word.
func (v *Vocabulary) Word(id int32) string {
	if at := int(id) - FirstWord; at >= 0 && at < len(v.words) {
		return v.words[at]
	}
	return ""
}

// Words are all of them, in order. They are not to be changed.
func (v *Vocabulary) Words() []string { return v.words }

// Append appends the ids of the words of a text.
func (v *Vocabulary) Append(ids []int32, text string) []int32 {
	for word := range In(text) {
		ids = append(ids, v.ID(word))
	}
	return ids
}

// Digest is the SHA-256 of the words, in hexadecimal.
func (v *Vocabulary) Digest() string {
	hash := sha256.New()
	for _, word := range v.words {
		_, _ = io.WriteString(hash, word)
		_, _ = hash.Write([]byte{'\n'}) // no word has one
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// Encode writes the vocabulary as a text for metadata: its lines, deflated, in base64.
func (v *Vocabulary) Encode() string {
	var packed bytes.Buffer
	w, _ := flate.NewWriter(&packed, flate.BestCompression) // the level is one
	_, _ = io.WriteString(w, strings.Join(v.words, "\n"))
	_ = w.Close() // in memory
	return base64.StdEncoding.EncodeToString(packed.Bytes())
}

// mostEncoded bounds the words of an encoded vocabulary, in bytes.
const mostEncoded = 256 << 20

// Decode reads what [Vocabulary.Encode] wrote.
func Decode(text string) (*Vocabulary, error) {
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("decode a vocabulary: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), mostEncoded+1))
	if err == nil && len(raw) > mostEncoded {
		err = errors.New("it is too large")
	}
	if err != nil {
		return nil, fmt.Errorf("decode a vocabulary: %w", err)
	}
	if len(raw) == 0 {
		return NewVocabulary(nil)
	}
	return NewVocabulary(strings.Split(string(raw), "\n"))
}
