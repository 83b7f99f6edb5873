package arrowmeta_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/arrowmeta"
	"github.com/tlpipe/tlpipe/internal/budget/budgettest"
)

// stream is a stream of one record of three texts.
func stream(t testing.TB) []byte {
	schema := arrow.NewSchema([]arrow.Field{{Name: "review", Type: arrow.BinaryTypes.String}}, nil)
	b := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer b.Release()
	b.Field(0).(*array.StringBuilder).AppendValues([]string{"fine", "awful", "so so"}, nil)
	rec := b.NewRecord()
	defer rec.Release()
	var out bytes.Buffer
	w := ipc.NewWriter(&out, ipc.WithSchema(schema))
	if err := errors.Join(w.Write(rec), w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// read returns how many rows a stream has, and the first error.
func read(data []byte) (rows int64, err error) {
	s := arrowmeta.NewStream(bytes.NewReader(data), int64(len(data)), memory.DefaultAllocator)
	defer s.Release()
	r, err := ipc.NewReaderFromMessageReader(s)
	if err != nil {
		return 0, err
	}
	defer r.Release()
	for r.Next() {
		rows += r.Record().NumRows()
	}
	return rows, r.Err()
}

func TestStream(t *testing.T) {
	data := stream(t)
	if rows, err := read(data); rows != 3 || (err != nil && !errors.Is(err, io.EOF)) {
		t.Errorf("%d rows, %v", rows, err)
	}
	lies := bytes.Clone(data)
	binary.LittleEndian.PutUint32(lies[4:], 0x7FFFFFF0)
	budgettest.Cost{Memory: 16 << 20, Time: 1 << 40}.Bounds(t, func() {
		if _, err := read(lies); err == nil || !strings.Contains(err.Error(), "2147483632") {
			t.Errorf("metadata of 2 GB: %v", err)
		}
	})
}

func TestMessageOfManyFields(t *testing.T) {
	data := stream(t)
	metadata := data[8 : 8+binary.LittleEndian.Uint32(data[4:])]
	if body, err := arrowmeta.CheckMessage(metadata); body != 0 || err != nil {
		t.Fatalf("body of %d bytes, %v", body, err)
	}
	refused := 0
	for at := 0; at+4 <= len(metadata); at += 4 {
		lies := bytes.Clone(metadata)
		binary.LittleEndian.PutUint32(lies[at:], 1<<26)
		if _, err := arrowmeta.CheckMessage(lies); errors.Is(err, arrowmeta.ErrMalformed) {
			refused++
		}
	}
	if refused == 0 {
		t.Error("no length that lies was found")
	}
}

func FuzzStream(f *testing.F) {
	budgettest.Seeds(f, 300, stream(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		budgettest.Within(t, len(data), func() {
			s := arrowmeta.NewStream(bytes.NewReader(data), int64(len(data)), memory.DefaultAllocator)
			defer s.Release()
			for {
				if _, err := s.Message(); err != nil {
					return
				}
			}
		})
	})
}
