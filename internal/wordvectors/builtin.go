package wordvectors

import (
	"archive/zip"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/apache/arrow/go/v17/arrow/float16"

	"github.com/tlpipe/tlpipe/internal/words"
)

// BuiltinName is how pipelines name the table in tlpipe.
const BuiltinName = "builtin"

//go:embed glove.zip
var archive string

// builtinWidth is the length of its vectors.
const builtinWidth = 100

// Builtin reads the table in tlpipe.
func Builtin() (*Table, error) {
	t, err := readBuiltin()
	if err != nil {
		return nil, fmt.Errorf("read the built-in word vectors: %w", err)
	}
	return t, nil
}

func readBuiltin() (*Table, error) {
	in, err := zip.NewReader(strings.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, f := range in.File {
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		if files[f.Name], err = io.ReadAll(r); err != nil {
			return nil, err
		}
	}
	vocabulary, err := words.NewVocabulary(strings.Split(string(files["words.txt"]), "\n"))
	if err != nil {
		return nil, err
	}
	factors, steps := files["factors.f16"], files["vectors.i8"]
	if len(factors) != 2*vocabulary.Len() || len(steps) != builtinWidth*vocabulary.Len() {
		return nil, fmt.Errorf("%d words, %d factors and %d numbers", vocabulary.Len(), len(factors)/2, len(steps))
	}
	sum := sha256.Sum256([]byte(archive))
	t := &Table{Width: builtinWidth, Digest: hex.EncodeToString(sum[:]), vocabulary: vocabulary, values: make([]float32, len(steps))}
	for i, step := range steps {
		factor := float16.FromBits(binary.LittleEndian.Uint16(factors[i/builtinWidth*2:]))
		t.values[i] = float32(int8(step)) * factor.Float32()
	}
	return t, nil
}

// Open reads the table that pipelines name: [BuiltinName], or a path.
func Open(path string) (*Table, error) {
	if path == BuiltinName {
		return Builtin()
	}
	return Read(path, 0)
}
