package segment

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// Pick gives the slices of some rows of a segment, repeated, for the columns
// wanted.
func Pick(s *cache.Segment, from, n, each int64, wanted func(name string) bool) []cache.Slice {
	var out []cache.Slice
	for _, slice := range s.Slices {
		var columns []string
		for _, name := range slice.Columns {
			if wanted(name) {
				columns = append(columns, name)
			}
		}
		if len(columns) == 0 {
			continue
		}
		// Row r of the result is row from + r/each of the segment, and so row
		// start + ((skip + from)·each + r) / (slice.Each·each) of the blob.
		at := slice.Skip + from
		first, last := at/slice.Each, (at+n-1)/slice.Each
		picked := cache.Slice{
			Columns: columns, Blob: slice.Blob, Start: slice.Start + first,
			Skip: at % slice.Each * each, Each: slice.Each * each,
		}
		if len(slice.Digests) > 0 {
			picked.Digests = slice.Digests.Slice(int(first), int(last+1))
		}
		out = append(out, picked)
	}
	return out
}

// Row is the row of the blob, counted from Start, in which row r of a
// segment rests.
func Row(s cache.Slice, r int64) int64 { return (s.Skip + r) / s.Each }

// Append appends a segment to others, to the last of them if it goes on where
// that ends.
func Append(segments []cache.Segment, next cache.Segment) []cache.Segment {
	if next.Rows == 0 {
		return segments
	}
	if len(segments) == 0 {
		return append(segments, next)
	}
	last := &segments[len(segments)-1]
	if len(last.Slices) != len(next.Slices) {
		return append(segments, next)
	}
	for i, a := range last.Slices {
		b := next.Slices[i]
		// The next must begin at the row of the blob, and of its repetitions,
		// where the last ends.
		at := a.Skip + last.Rows
		if a.Blob != b.Blob || a.Each != b.Each || a.Start+at/a.Each != b.Start || at%a.Each != b.Skip || !slices.Equal(a.Columns, b.Columns) {
			return append(segments, next)
		}
	}
	for i := range last.Slices {
		a, b := &last.Slices[i], next.Slices[i]
		more := b.Digests
		if b.Skip > 0 { // they share a row of the blob
			more = more.Slice(1, more.Len())
		}
		a.Digests = slices.Concat(a.Digests, more)
	}
	last.Rows += next.Rows
	return segments
}

// Order sorts the slices of a segment as their columns stand in the schema,
// and the columns within each.
func Order(s []cache.Slice, schema *arrow.Schema) []cache.Slice {
	at := func(name string) int {
		if i := schema.FieldIndices(name); len(i) > 0 {
			return i[0]
		}
		return -1
	}
	slices.SortFunc(s, func(a, b cache.Slice) int { return at(a.Columns[0]) - at(b.Columns[0]) })
	return s
}

// contentDigest is what a composed chunk is known by: it covers the schema and
// what each row says, and not where it rests.
func contentDigest(schema string, segments []cache.Segment) string {
	hash := sha256.New()
	hash.Write([]byte("tlpipe rows 1\x00" + schema))
	for _, s := range segments {
		names := make([][]byte, len(s.Slices))
		for i, slice := range s.Slices {
			sum := sha256.Sum256([]byte(strings.Join(slice.Columns, "\x00")))
			names[i] = sum[:len(cache.RowDigest{})]
		}
		for r := range s.Rows {
			for i, slice := range s.Slices {
				d := slice.Digests.At(int(Row(slice, r)))
				hash.Write(names[i])
				hash.Write(d[:])
			}
			hash.Write([]byte{'\n'})
		}
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// Compose makes a chunk of segments.
func Compose(schema cache.Blob, segments []cache.Segment) cache.Chunk {
	c := cache.Chunk{Digest: contentDigest(schema.Digest, segments), Schema: &schema, Segments: segments}
	seen := map[string]bool{}
	for _, s := range segments {
		c.Rows += s.Rows
	}
	for b := range c.Blobs() {
		if !seen[b.Digest] {
			seen[b.Digest] = true
			c.Bytes += b.Bytes
		}
	}
	return c
}

// Noted gives a column's digests from segments in which it stands alone, or
// nil.
func Noted(segments []cache.Segment, name string) cache.RowDigests {
	out := cache.RowDigests{}
	for _, s := range segments {
		i := slices.IndexFunc(s.Slices, func(s cache.Slice) bool { return len(s.Columns) == 1 && s.Columns[0] == name })
		if i < 0 {
			return nil
		}
		for r := range s.Rows {
			d := s.Slices[i].Digests.At(int(Row(s.Slices[i], r)))
			out = append(out, d[:]...)
		}
	}
	return out
}
