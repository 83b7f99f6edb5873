package hdf5

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// A dataset that lies in the corner of a chunk of gigabytes is read without the rest, or refused where it cannot be.
func TestChunksLargerThanTheirDataset(t *testing.T) {
	const rows, columns = 1 << 14, 1 << 14 // of a chunk: 1 GiB
	plain := make([]byte, 4*(columns+3))
	for i := range 2 {
		for j := range 3 {
			binary.LittleEndian.PutUint32(plain[4*(i*columns+j):], uint32(10*i+j))
		}
	}
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	if _, err := w.Write(append(plain, make([]byte, 1<<20)...)); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil { // the rest of the gigabyte is not there, and not asked for
		t.Fatal(err)
	}
	d := &chunked{
		shape: []int{2, 3}, chunk: []int{rows, columns}, width: 4, size: 24,
		filters: []filter{{kind: deflateFilter}}, chunks: []chunk{{at: []int{0, 0}, raw: packed.Bytes()}},
	}
	if err := d.checkChunk(); err != nil {
		t.Error(err)
	}
	got, err := d.Bytes()
	if want := []byte{0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 10, 0, 0, 0, 11, 0, 0, 0, 12, 0, 0, 0}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	if needed := d.needed(d.chunks[0]); needed != 4*(columns+3) {
		t.Errorf("%d bytes are needed", needed)
	}
	d.filters = append([]filter{{kind: shuffleFilter, value: 4}}, d.filters...)
	if err := d.checkChunk(); err == nil || !strings.Contains(err.Error(), "chunks of 1073 MB for a dataset of 24 bytes, the limit is 16 MB") {
		t.Errorf("shuffled: %v", err)
	}
	d.chunk = []int{1 << 10, 1 << 10}
	if err := d.checkChunk(); err != nil {
		t.Errorf("4 MB shuffled: %v", err)
	}
}
