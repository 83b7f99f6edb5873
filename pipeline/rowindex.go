package pipeline

import (
	"fmt"
	"sync"

	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// madeRows is where what was made of a row is: a row of those given to a piece
// of work.
type madeRow struct {
	*madeEntry
	row int
}

// count is how many rows were made of it.
func (m madeRow) count() int64 { return m.starts[m.row+1] - m.starts[m.row] }

// madeEntry is an entry that tells what was made of rows.
type madeEntry struct {
	cache.Entry
	starts []int64 // of what was made of each row given, in the blob; and the end
	blob   cache.Blob
}

// rowsOutput is the name of the output of a piece of row-wise work.
const rowsOutput = "rows"

func newMadeEntry(e cache.Entry) (*madeEntry, error) {
	if e.Made == nil || len(e.Outputs[rowsOutput]) != 1 {
		return nil, fmt.Errorf("entry %.12s does not tell of rows: %w", e.Key, cache.ErrCorrupt)
	}
	n := e.Made.Rows.Len()
	m := &madeEntry{Entry: e, starts: make([]int64, n+1)}
	for i := range n {
		count := int64(1)
		if e.Made.Counts != nil {
			count = int64(e.Made.Counts[i])
		}
		m.starts[i+1] = m.starts[i] + count
	}
	blob := e.Outputs[rowsOutput][0]
	if m.starts[n] != blob.Rows {
		return nil, fmt.Errorf("entry %.12s tells of %d rows and has %d: %w", e.Key, m.starts[n], blob.Rows, cache.ErrCorrupt)
	}
	m.blob = cache.Blob{Digest: blob.Digest, Bytes: blob.Bytes}
	return m, nil
}

// rowIndex finds what was made of rows in earlier runs and in this one.
type rowIndex struct {
	load func() error
	once sync.Once
	err  error
	mu   sync.Mutex
	rows map[cache.RowDigest]madeRow
}

func (x *rowIndex) read(store *cache.Store, scope string) error {
	keys, err := store.NotedRows(scope)
	if err != nil {
		return err
	}
	for _, key := range keys {
		e, err := store.Peek(key)
		if err != nil {
			continue // it was removed, or is damaged: its rows are computed again
		}
		if m, err := newMadeEntry(e); err == nil {
			x.add(m)
		}
	}
	return nil
}

func (x *rowIndex) add(m *madeEntry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.rows == nil {
		x.rows = map[cache.RowDigest]madeRow{}
	}
	for i := range m.Made.Rows.Len() {
		x.rows[m.Made.Rows.At(i)] = madeRow{m, i}
	}
}

// find fills in what was made of rows, as far as that is known.
func (x *rowIndex) find(keys []cache.RowDigest, given []bool, found []*madeRow) error {
	if x.once.Do(func() { x.err = x.load() }); x.err != nil {
		return x.err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, key := range keys {
		if m, ok := x.rows[key]; ok && given[i] && found[i] == nil {
			found[i] = &m
		}
	}
	return nil
}
