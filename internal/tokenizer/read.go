package tokenizer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/tlpipe/tlpipe/internal/budget"
)

// names are the files that a folder's tokenizer is looked for in, the most telling first.
var names = [...]string{"tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model"}

// Read reads a tokenizer from a folder as Hugging Face's hub has it, or from one of its files: tokenizer.json; vocab.txt of BERT;
// vocab.json with merges.txt beside it, of GPT-2, RoBERTa and CLIP; a SentencePiece model (*.model). What a vocabulary alone does
// not say follows from tokenizer_config.json beside it, if it is there, and from its tokens.
func Read(path string) (*Tokenizer, error) {
	path, err := find(path)
	if err != nil {
		return nil, err
	}
	t, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the tokenizer %s: %w", path, err)
	}
	return t, nil
}

// find returns the file of the tokenizer that a path names.
func find(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("read a tokenizer: %w", err)
	}
	if !info.IsDir() {
		return path, nil
	}
	for _, name := range names {
		if i, err := os.Stat(filepath.Join(path, name)); err == nil && i.Mode().IsRegular() {
			return filepath.Join(path, name), nil
		}
	}
	return "", fmt.Errorf("read a tokenizer: %s has none of %s", path, strings.Join(names[:], ", "))
}

// Digest is the SHA-256 of the files that [Read] reads, in hexadecimal.
func Digest(path string) (string, error) {
	path, err := find(path)
	if err != nil {
		return "", err
	}
	dir, name := filepath.Split(path)
	files := []string{path}
	switch {
	case name == "vocab.json":
		files = append(files, filepath.Join(dir, "merges.txt"), filepath.Join(dir, "tokenizer_config.json"))
	case strings.HasSuffix(name, ".txt"):
		files = append(files, filepath.Join(dir, "tokenizer_config.json"))
	}
	hash := sha256.New()
	for _, file := range files {
		text, err := budget.ReadFile(file, maxFile)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("read the tokenizer %s: %w", file, err)
		}
		sum := sha256.Sum256(text)
		_, _ = hash.Write(sum[:])
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

func readFile(path string) (*Tokenizer, error) {
	text, err := budget.ReadFile(path, maxFile)
	if err != nil {
		return nil, err
	}
	dir, name := filepath.Split(path)
	switch {
	case strings.HasSuffix(name, ".model"):
		return parseSentencePiece(text)
	case name == "vocab.json":
		merges, err := budget.ReadFile(filepath.Join(dir, "merges.txt"), maxFile)
		if err != nil {
			return nil, err
		}
		c, err := readConfig(dir)
		if err != nil {
			return nil, err
		}
		return parseByteVocabulary(text, merges, c)
	case strings.HasSuffix(name, ".json"):
		return parseJSON(text)
	case strings.HasSuffix(name, ".txt"):
		c, err := readConfig(dir)
		if err != nil {
			return nil, err
		}
		return parseVocabulary(text, c)
	}
	return nil, errors.New("the name of its file does not say what it is: want tokenizer.json, vocab.txt, vocab.json or *.model")
}

// maxFile bounds the files, in bytes: the largest in use have some 35 MB.
const maxFile = 128 << 20

// config is what tokenizer_config.json says beside a vocabulary.
type config struct {
	Class   string `json:"tokenizer_class"`
	Lower   *bool  `json:"do_lower_case"`
	Accents *bool  `json:"strip_accents"`
	Chinese *bool  `json:"tokenize_chinese_chars"`
	Space   bool   `json:"add_prefix_space"`
}

func readConfig(dir string) (config, error) {
	var c config
	text, err := budget.ReadFile(filepath.Join(dir, "tokenizer_config.json"), maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fmt.Errorf("tokenizer_config.json: %w", err)
	}
	return c, nil
}

// parseVocabulary makes a tokenizer of BERT's vocab.txt, a token a line. Without a word on it, capital letters are kept if the
// vocabulary has tokens with them.
func parseVocabulary(text []byte, c config) (*Tokenizer, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("it is not UTF-8 text")
	}
	vocabulary := map[string]int32{}
	capitals := false
	id := int32(0)
	for line := range bytes.Lines(text) {
		token := strings.TrimRight(string(line), "\r\n")
		if _, twice := vocabulary[token]; !twice {
			vocabulary[token] = id
		}
		id++
		capitals = capitals || !strings.HasPrefix(token, "[") && strings.ContainsFunc(token, unicode.IsUpper)
	}
	n := bertNormaliser{clean: true, ideographs: c.Chinese == nil || *c.Chinese, lower: !capitals}
	if c.Lower != nil {
		n.lower = *c.Lower
	}
	n.accents = n.lower
	if c.Accents != nil {
		n.accents = *c.Accents
	}
	var added []addedToken
	need := map[string]int32{}
	for _, token := range []string{"[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"} {
		id, ok := vocabulary[token]
		if !ok {
			if token == "[PAD]" || token == "[MASK]" {
				continue
			}
			return nil, fmt.Errorf("the vocabulary of %d lines has no %s", id, token)
		}
		need[token] = id
		added = append(added, addedToken{content: token, id: id, special: true})
	}
	t := &Tokenizer{normalise: n, pretoken: bertSplit{}, model: newWordPiece(vocabulary, "##", need["[UNK]"], 100)}
	t.template = template{[]int32{need["[CLS]"]}, []int32{need["[SEP]"]}}
	return t, t.build(vocabulary, added)
}

// clipWords is CLIP's expression.
const clipWords = `'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`

// parseByteVocabulary makes a tokenizer of vocab.json and merges.txt: of GPT-2 and RoBERTa or, where tokens end in </w>, CLIP.
func parseByteVocabulary(text, mergeText []byte, c config) (*Tokenizer, error) {
	var vocabulary map[string]int32
	if err := json.Unmarshal(text, &vocabulary); err != nil {
		return nil, err
	}
	var lines []string
	clip := false
	for line := range bytes.Lines(mergeText) {
		l := strings.TrimRight(string(line), "\r\n")
		if l == "" || strings.HasPrefix(l, "#version") {
			continue
		}
		lines = append(lines, l)
		clip = clip || strings.HasSuffix(l, "</w>")
	}
	merges, err := splitMerges(lines)
	if err != nil {
		return nil, fmt.Errorf("merges.txt: %w", err)
	}
	begin, end := "<s>", "</s>"
	b := bytePairs{vocabulary: vocabulary, unk: -1}
	t := &Tokenizer{pretoken: byteLevel{space: c.Space, words: true}}
	if clip {
		begin, end = "<|startoftext|>", "<|endoftext|>"
		b.suffix = "</w>"
		if id, ok := vocabulary[end]; ok {
			b.unk = id
		}
		spaces, err := compile(`\s+`)
		if err != nil {
			return nil, err
		}
		words, err := compile(clipWords)
		if err != nil {
			return nil, err
		}
		t.normalise = each{form(norm.NFC), replace{pattern: spaces.expression, new: " "}, textFunc(lower)}
		t.pretoken = inTurn{patternSplit{words, removed, true}, byteLevel{}}
	}
	if t.model, err = newBytePairs(b, merges); err != nil {
		return nil, fmt.Errorf("merges.txt: %w", err)
	}
	var added []addedToken
	for _, token := range []string{begin, end, "<pad>", "<unk>", "<mask>", "<|endoftext|>"} {
		if id, ok := vocabulary[token]; ok {
			added = append(added, addedToken{content: token, id: id, special: true, left: token == "<mask>"})
		}
	}
	if err := t.build(vocabulary, added); err != nil {
		return nil, err
	}
	first, ok := vocabulary[begin]
	last, okLast := vocabulary[end]
	if ok && okLast {
		t.template = template{[]int32{first}, []int32{last}}
	}
	return t, nil
}
