package dataset

import (
	"errors"
	"io"
	"sync"

	"github.com/apache/arrow/go/v17/parquet/compress"
	"github.com/pierrec/lz4/v4"
)

// lz4Raw is the number of LZ4_RAW among Parquet's codecs: bare LZ4 blocks, which pyarrow writes as "lz4". The Parquet library
// does not have it, and takes codecs by its own registry alone.
const lz4Raw compress.Compression = 7

// lz4Known tells the Parquet library how to read LZ4_RAW, once.
var lz4Known = sync.OnceFunc(func() { compress.RegisterCodec(lz4Raw, lz4Blocks{}) })

// lz4Blocks reads LZ4 blocks. Nothing here writes them.
type lz4Blocks struct{}

var errWriteLZ4 = errors.New("LZ4_RAW is not written")

// Decode implements compress.Codec. A damaged block panics, as in the library's own codecs: who reads Parquet recovers.
func (lz4Blocks) Decode(dst, src []byte) []byte {
	n, err := lz4.UncompressBlock(src, dst)
	if err != nil {
		panic(err)
	}
	return dst[:n]
}

func (lz4Blocks) NewReader(io.Reader) io.ReadCloser                     { return io.NopCloser(failing{}) }
func (lz4Blocks) NewWriter(io.Writer) io.WriteCloser                    { panic(errWriteLZ4) }
func (lz4Blocks) NewWriterLevel(io.Writer, int) (io.WriteCloser, error) { return nil, errWriteLZ4 }
func (lz4Blocks) Encode(_, _ []byte) []byte                             { panic(errWriteLZ4) }
func (lz4Blocks) EncodeLevel(_, _ []byte, _ int) []byte                 { panic(errWriteLZ4) }
func (lz4Blocks) CompressBound(n int64) int64                           { return int64(lz4.CompressBlockBound(int(n))) }

// failing is a stream of LZ4 blocks, which there is not: pages are blocks.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("LZ4_RAW is no stream") }
