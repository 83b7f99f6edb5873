package wordvectors

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/safetensors"
	"github.com/tlpipe/tlpipe/internal/tokenizer"
	"github.com/tlpipe/tlpipe/internal/words"
)

// Limits of what is read.
const (
	mostWidth  = 4096
	longestRow = 1 << 20 // bytes of a line
	mostMemory = 8 << 30 // bytes of vectors
)

// Read reads a file of word vectors, of which at most so many words are kept, the first; 0 keeps all. A path of a folder is that of
// static embeddings: model.safetensors and a tokenizer. The digest is of the vectors that are kept and their words.
func Read(path string, most int) (t *Table, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("read the word vectors %s: %w", path, err)
		}
	}()
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return readStatic(filepath.Join(path, "model.safetensors"), path)
	}
	if strings.EqualFold(filepath.Ext(path), ".safetensors") {
		return readStatic(path, filepath.Dir(path))
	}
	f, err := budget.Open(path, 1<<40)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return Parse(f, info.Size(), most)
}

// Parse reads the text or binary form of word vectors of so many bytes.
func Parse(in io.Reader, size int64, most int) (*Table, error) {
	p := &parser{in: bufio.NewReaderSize(in, 1<<20), size: size, most: words.MostWords, seen: map[string]bool{}}
	if most > 0 {
		p.most = min(most, p.most)
	}
	if err := p.read(); err != nil {
		return nil, err
	}
	if len(p.words) == 0 {
		return nil, errors.New("it has no words")
	}
	vocabulary, err := words.NewVocabulary(p.words)
	if err != nil {
		return nil, err
	}
	t := &Table{Width: p.width, vocabulary: vocabulary, values: p.values}
	t.digest()
	return t, nil
}

// digest makes the digest of a table's content.
func (t *Table) digest() {
	hash := sha256.New()
	if t.vocabulary != nil {
		_, _ = io.WriteString(hash, t.vocabulary.Digest())
	}
	buffer := make([]byte, 4*t.Width)
	for i := range t.Len() {
		for j, x := range t.Vector(i) {
			binary.LittleEndian.PutUint32(buffer[4*j:], math.Float32bits(x))
		}
		_, _ = hash.Write(buffer)
	}
	t.Digest = hex.EncodeToString(hash.Sum(nil))
}

// parser reads words and vectors.
type parser struct {
	in     *bufio.Reader
	size   int64
	most   int
	width  int
	words  []string
	values []float32
	seen   map[string]bool
}

func (p *parser) read() error {
	line, err := p.line()
	if err != nil {
		return err
	}
	fields := strings.Fields(line)
	count := int64(math.MaxInt64)
	if len(fields) == 2 { // word2vec's and fastText's first line: how many words, and how many numbers of each
		n, err1 := strconv.ParseInt(fields[0], 10, 64)
		width, err2 := strconv.Atoi(fields[1])
		if err1 != nil || err2 != nil || n < 1 || width < 1 || width > mostWidth {
			return fmt.Errorf("the first line, %q, does not say how many words and numbers there are", shown(line))
		}
		if n > p.size/int64(width) { // a number takes a byte or more
			return fmt.Errorf("it says that %d words with %d numbers are in %d bytes", n, width, p.size)
		}
		count, p.width = n, width
		if p.isBinary() {
			return p.binary(count)
		}
	} else if err := p.add(line); err != nil {
		return fmt.Errorf("line 1: %w", err)
	}
	told, rows := count != math.MaxInt64, int64(0)
	for number := 2; len(p.words) < p.most; number++ {
		line, err := p.line()
		if errors.Is(err, io.EOF) && told && rows != count {
			return fmt.Errorf("its first line says that there are %d words, but it has %d: it is cut off, or the line is wrong", count, rows)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if strings.TrimSpace(line) != "" {
			rows++
		}
		if err == nil {
			err = p.add(line)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	return nil
}

// line reads a line of text, without its end.
func (p *parser) line() (string, error) {
	var out []byte
	for {
		part, err := p.in.ReadSlice('\n')
		out = append(out, part...)
		switch {
		case len(out) > longestRow:
			return "", fmt.Errorf("a line of more than %s: it is not a file of word vectors", budget.Bytes(longestRow))
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(out) > 0:
			err = nil
		}
		return strings.TrimRight(string(out), "\r\n"), err
	}
}

// isBinary tells whether what follows the first line is no text: a word and its numbers in a line.
func (p *parser) isBinary() bool {
	head, _ := p.in.Peek(min(p.in.Size(), longestRow))
	line, _, whole := bytes.Cut(head, []byte("\n"))
	if !whole && len(head) == p.in.Size() || !utf8.Valid(line) {
		return true
	}
	_, _, err := p.split(strings.TrimRight(string(line), "\r"))
	return err != nil
}

// split divides a line into its word, which may have spaces in it, and its numbers.
func (p *parser) split(line string) (word string, numbers []float32, err error) {
	fields := strings.Split(strings.TrimRight(line, " \t"), " ")
	if len(fields) == 1 {
		fields = strings.Split(line, "\t")
	}
	width := p.width
	if width == 0 {
		width = len(fields) - 1
	}
	if width < 1 || width > mostWidth || len(fields) < width+1 {
		return "", nil, fmt.Errorf("%q: expected a word and %d numbers", shown(line), max(width, 1))
	}
	at := len(fields) - width
	numbers = make([]float32, width)
	for i, field := range fields[at:] {
		x, err := strconv.ParseFloat(field, 32)
		if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return "", nil, fmt.Errorf("%q: %q is not a finite number", shown(line), shown(field))
		}
		numbers[i] = float32(x)
	}
	return strings.Join(fields[:at], " "), numbers, nil
}

// add adds a line.
func (p *parser) add(line string) error {
	if strings.TrimSpace(line) == "" {
		return nil
	}
	word, numbers, err := p.split(line)
	if err != nil {
		return err
	}
	p.width = len(numbers)
	return p.keep(word, numbers)
}

// keep takes a word, of several that are the same the first. What cannot be a word of a text is passed over.
func (p *parser) keep(word string, numbers []float32) error {
	if word == "" || p.seen[word] || !utf8.ValidString(word) || strings.ContainsAny(word, "\n") {
		return nil
	}
	if 4*(len(p.values)+len(numbers)) > mostMemory {
		return fmt.Errorf("it has more vectors than fit into %s: set most", budget.Bytes(mostMemory))
	}
	p.seen[word] = true
	p.words, p.values = append(p.words, word), append(p.values, numbers...)
	return nil
}

// binary reads word2vec's binary form: a word, a space, and numbers of 32 bits.
func (p *parser) binary(count int64) error {
	raw := make([]byte, 4*p.width)
	for number := int64(1); number <= count && len(p.words) < p.most; number++ {
		var word []byte
		for {
			b, err := p.in.ReadByte()
			if err != nil {
				return fmt.Errorf("word %d of %d: the file ends early", number, count)
			}
			if b == ' ' {
				break
			}
			if b == '\n' && len(word) == 0 {
				continue // some writers end vectors with it
			}
			if word = append(word, b); len(word) > 4096 {
				return fmt.Errorf("word %d of %d has more than 4096 bytes: it is not a file of word vectors", number, count)
			}
		}
		if _, err := io.ReadFull(p.in, raw); err != nil {
			return fmt.Errorf("word %d of %d: the file ends early", number, count)
		}
		numbers := make([]float32, p.width)
		for i := range numbers {
			numbers[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
			if numbers[i]-numbers[i] != 0 {
				return fmt.Errorf("word %d of %d has a number that is not finite", number, count)
			}
		}
		if err := p.keep(string(word), numbers); err != nil {
			return err
		}
		if number == count {
			return p.end(count)
		}
	}
	return nil
}

// end is an error if more follows than line ends.
func (p *parser) end(count int64) error {
	for {
		switch b, err := p.in.ReadByte(); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case b != '\n' && b != '\r':
			return fmt.Errorf("its first line says that there are %d words, but more follow: the line is wrong", count)
		}
	}
}

// readStatic reads the table of a static embedding and the tokenizer in a folder.
func readStatic(path, folder string) (t *Table, err error) {
	f, err := safetensors.Open(path, budget.New(budget.Limit{Resource: budget.Memory, Most: 256 << 20}))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	found := -1
	for i, tensor := range f.Tensors() {
		if len(tensor.Shape) == 2 && tensor.Type.Real() && tensor.Shape[1] <= mostWidth {
			if found >= 0 {
				return nil, errors.New("it has several tables, so it is not a static embedding")
			}
			found = i
		}
	}
	if found < 0 {
		return nil, errors.New("it has no table of vectors")
	}
	tensor := f.Tensors()[found]
	cut, err := tokenizer.Read(folder)
	if err != nil {
		return nil, err
	}
	if cut.Size() > tensor.Shape[0] {
		return nil, fmt.Errorf("the tokenizer has %d ids, but there are only %d vectors: they do not belong together", cut.Size(), tensor.Shape[0])
	}
	values, err := tensor.Float32()
	if err != nil {
		return nil, err
	}
	for _, x := range values {
		if x-x != 0 {
			return nil, errors.New("a number is not finite")
		}
	}
	t = &Table{Width: tensor.Shape[1], tokenizer: cut, values: values}
	t.digest()
	digest, err := tokenizer.Digest(folder)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(t.Digest + digest))
	t.Digest = hex.EncodeToString(sum[:])
	return t, nil
}

// shown is a text for messages, not too long.
func shown(text string) string {
	if r := []rune(text); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return text
}
