package cache

import (
	"encoding/hex"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
)

// Chunk is a reference to rows at rest. A plain chunk is one blob, an Arrow
// IPC file, and is known by that blob's digest. A composed chunk is put
// together from columns of several blobs, and is known by the digest of what
// its rows say, wherever they rest.
type Chunk struct {
	Digest string `json:"digest"`
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"` // of the blobs that it is read from

	// Of a composed chunk: the blob of its schema, an Arrow file of no rows,
	// and its rows in order.
	Schema   *Blob     `json:"schema,omitempty"`
	Segments []Segment `json:"segments,omitempty"`
}

// Blob is a reference to a blob.
type Blob struct {
	Digest string `json:"digest"`
	Bytes  int64  `json:"bytes"`
}

// Segment is a run of rows of a composed chunk, whose columns lie side by side
// in blobs. A column that no slice has is zero in all of its rows.
type Segment struct {
	Rows   int64   `json:"rows"`
	Slices []Slice `json:"slices"`
}

// Slice is some columns of a segment: row r of the segment is row
// Start + (Skip + r)/Each of the blob.
type Slice struct {
	Columns []string   `json:"columns"`
	Blob    Blob       `json:"blob"`
	Start   int64      `json:"start,omitempty"`
	Skip    int64      `json:"skip,omitempty"`
	Each    int64      `json:"each"`              // how many rows each of the blob's stands for, at least 1
	Digests RowDigests `json:"digests,omitempty"` // of these columns, a blob's row each, from Start on
}

// RowDigest is what the content of a row is known by: the first half of its
// SHA-256.
type RowDigest [16]byte

// String gives the digest as hexadecimal.
func (d RowDigest) String() string { return hex.EncodeToString(d[:]) }

// RowDigests are the digests of several rows, one after another.
type RowDigests []byte

// Len is how many there are.
func (d RowDigests) Len() int { return len(d) / len(RowDigest{}) }

// At returns that of a row.
func (d RowDigests) At(row int) RowDigest { return RowDigest(d[row*len(RowDigest{}):]) }

// Slice returns those of some rows.
func (d RowDigests) Slice(from, to int) RowDigests {
	const size = len(RowDigest{})
	return d[from*size : to*size : to*size]
}

// Composed tells whether the chunk is put together from several blobs.
func (c Chunk) Composed() bool { return c.Schema != nil }

// Blobs yields every blob that the chunk is read from, some perhaps twice.
func (c Chunk) Blobs() iter.Seq[Blob] {
	return func(yield func(Blob) bool) {
		if !c.Composed() {
			yield(Blob{c.Digest, c.Bytes})
			return
		}
		if !yield(*c.Schema) {
			return
		}
		for _, s := range c.Segments {
			for _, slice := range s.Slices {
				if !yield(slice.Blob) {
					return
				}
			}
		}
	}
}

// Blobs yields every blob that the entry names, each once.
func (e Entry) Blobs() iter.Seq[Blob] {
	return func(yield func(Blob) bool) {
		seen := map[string]bool{}
		fresh := func(b Blob) bool {
			if seen[b.Digest] {
				return true
			}
			seen[b.Digest] = true
			return yield(b)
		}
		for _, chunks := range e.Outputs {
			for _, c := range chunks {
				for b := range c.Blobs() {
					if !fresh(b) {
						return
					}
				}
			}
		}
		if e.Made != nil {
			fresh(e.Made.Schema)
		}
	}
}

// Brief is the chunk without the places of its rows: what a record of a run
// keeps of it. The chunk's entry has them.
func (c Chunk) Brief() Chunk {
	c.Segments = nil
	return c
}

// Made is what a piece of row-wise work made of the rows that it was given.
type Made struct {
	Schema  Blob                  `json:"schema"`           // of the columns made
	Rows    RowDigests            `json:"rows"`             // what each row given is known by
	Counts  []int32               `json:"counts,omitempty"` // how many rows were made of each; nil: one
	Columns map[string]RowDigests `json:"columns"`          // by column made, a digest a row
	Rejects map[int]string        `json:"rejects,omitempty"`
}

// NoteRows remembers that the entry of a key tells what was made of rows, in
// the scope of a recipe. It is only ever a help: what is forgotten is computed
// again.
func (s *Store) NoteRows(scope, key string) {
	path := filepath.Join(s.dir, "rows", scope, key)
	f, err := s.fs.Create(path)
	if err != nil {
		if s.fs.MkdirAll(filepath.Dir(path)) != nil {
			return
		}
		if f, err = s.fs.Create(path); err != nil {
			return
		}
	}
	_ = f.Close()
}

// NotedRows lists the keys that NoteRows was given for a scope, in order.
func (s *Store) NotedRows(scope string) ([]string, error) {
	files, err := os.ReadDir(filepath.Join(s.dir, "rows", scope))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list what was made of rows: %w", err)
	}
	keys := make([]string, 0, len(files))
	for _, f := range files {
		keys = append(keys, f.Name())
	}
	slices.Sort(keys)
	return keys, nil
}

// Chunks returns what a port of a node held in its newest run, with the places
// of the rows.
func (s *Store) Chunks(n LatestNode, port string) ([]Chunk, error) {
	out := slices.Clone(n.Outputs[port])
	var whole map[string]Chunk
	for i, c := range out {
		if !c.Composed() {
			continue
		}
		if whole == nil {
			whole = map[string]Chunk{}
			for _, key := range n.Keys {
				if e, err := s.lookup(key); err == nil {
					for _, c := range e.Outputs[port] {
						whole[c.Digest] = c
					}
				}
			}
		}
		found, ok := whole[c.Digest]
		if !ok {
			return nil, fmt.Errorf("chunk %s of %s: %w", short(c.Digest), n.Name, ErrMissing)
		}
		out[i] = found
	}
	return out, nil
}
