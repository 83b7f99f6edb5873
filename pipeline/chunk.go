package pipeline

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"math"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/tlpipe/tlpipe/internal/record"
)

const (
	// chunkRows is the mean length of a chunk: some tens of megabytes of
	// pixels at most, and seconds of work, are lost when a process dies.
	chunkRows = 64
	// maxChunkRows bounds a chunk. So long a run without a natural end comes
	// up once in e^8 chunks.
	maxChunkRows = 8 * chunkRows
)

// cut divides rows into chunks by their ids: a chunk ends after a row whose
// hash is small, which is for each row alone to say. So a row that comes or
// goes changes the chunk it is in, or joins or divides two, and no other.
// It returns the end of each chunk.
func cut(ids []uint64) []int {
	var ends []int
	start := 0
	for i, h := range ids {
		if h < math.MaxUint64/chunkRows || i == len(ids)-1 {
			ends = appendBounded(ends, ids, start, i+1)
			start = i + 1
		}
	}
	return ends
}

// appendBounded divides a run that is too long at its row with the smallest
// hash, again and again: where it is cut does not depend on where it starts.
func appendBounded(ends []int, ids []uint64, start, end int) []int {
	if end-start <= maxChunkRows {
		return append(ends, end)
	}
	at := start
	for i := start; i < end-1; i++ {
		if ids[i] < ids[at] {
			at = i
		}
	}
	ends = appendBounded(ends, ids, start, at+1)
	return appendBounded(ends, ids, at+1, end)
}

// hashID spreads an id evenly over 64 bits.
func hashID(id string) uint64 {
	f := fnv.New64a()
	f.Write([]byte(id))
	// FNV mixes its last bytes poorly; this is the finaliser of SplitMix64
	// (Steele, Lea, Flood 2014).
	h := f.Sum64()
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// listed is a chunk of a source's listing.
type listed struct {
	rows   arrow.Record
	digest string
}

// cutListing divides a source's listing into chunks with their digests.
func cutListing(rows arrow.Record) ([]listed, error) {
	at, _, err := record.Column(rows.Schema(), record.ID)
	if err != nil {
		return nil, fmt.Errorf("the source's listing: %w", err)
	}
	column, ok := rows.Column(at).(*array.String)
	if !ok {
		return nil, fmt.Errorf("the source's listing: ids are %s, not text", rows.Column(at).DataType())
	}
	ids := make([]uint64, column.Len())
	seen := make(map[string]struct{}, column.Len())
	for i := range ids {
		id := column.Value(i)
		if _, twice := seen[id]; twice {
			return nil, fmt.Errorf("the source lists the id %q twice", id)
		}
		seen[id] = struct{}{}
		ids[i] = hashID(id)
	}
	var out []listed
	start := 0
	for _, end := range cut(ids) {
		slice := rows.NewSlice(int64(start), int64(end))
		out = append(out, listed{slice, digestRows(slice)})
		start = end
	}
	return out, nil
}

// digestRows hashes what rows say, value by value, leaving out columns that
// tell only where they are found.
func digestRows(rows arrow.Record) string {
	hash := sha256.New()
	var frame []byte
	add := func(tag byte, s string) {
		frame = binary.AppendUvarint(append(frame[:0], tag), uint64(len(s)))
		hash.Write(frame)
		hash.Write([]byte(s))
	}
	for c, f := range rows.Schema().Fields() {
		if where, _ := f.Metadata.GetValue(LocationColumn); where == "true" {
			continue
		}
		add('c', f.Name)
		add('t', f.Type.Fingerprint())
		column := rows.Column(c)
		text, isText := column.(*array.String)
		for i := range column.Len() {
			switch {
			case column.IsNull(i):
				add('n', "")
			case isText:
				add('v', text.Value(i))
			default:
				add('v', column.ValueStr(i))
			}
		}
	}
	for _, key := range sortedKeys(rows.Schema().Metadata().ToMap()) {
		value, _ := rows.Schema().Metadata().GetValue(key)
		add('k', key)
		add('m', value)
	}
	return hex.EncodeToString(hash.Sum(nil))
}
