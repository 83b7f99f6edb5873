//go:build unix

package pipeline_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/cache"
)

// An artifact that is open takes no memory for its rows, looked at or not.
func TestOpenedTableStaysOnDisk(t *testing.T) {
	ctx := context.Background()
	store, err := cache.Open(ctx, t.TempDir(), cache.OS{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	const rows, size, chunks = 16, 1 << 20, 4
	field := record.TensorField(record.Image, arrow.PrimitiveTypes.Uint8, size)
	var blobs []cache.Chunk
	for i := range chunks {
		raw := make([]byte, rows*size)
		raw[0] = byte(i + 1)
		column := record.NewTensors(field.Type, raw, rows)
		rec := array.NewRecord(arrow.NewSchema([]arrow.Field{field}, nil), []arrow.Array{column}, rows)
		file, err := record.Encode(rec)
		if err != nil {
			t.Fatal(err)
		}
		blob, err := store.PutBlob(file, rows)
		if err != nil {
			t.Fatal(err)
		}
		blobs = append(blobs, blob)
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	table, err := pipeline.NewArtifact(store, "big", nil, blobs).Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i := range chunks {
		rec, place := table.Find(i * rows)
		tensors, err := record.TensorColumn(table.Records()[rec], record.Image)
		if err != nil {
			t.Fatal(err)
		}
		if got := tensors.Bytes(place); len(got) != size || got[0] != byte(i+1) {
			t.Errorf("row %d begins with %d", i*rows, got[0])
		}
	}
	if after := heap(); after > before+size {
		t.Errorf("%d bytes of rows take %d bytes of memory", chunks*rows*size, after-before)
	}
	if err := table.Close(); err != nil {
		t.Error(err)
	}
}
