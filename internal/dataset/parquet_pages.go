package dataset

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/apache/arrow/go/v17/parquet/compress"
	"github.com/apache/arrow/go/v17/parquet/metadata"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"github.com/tlpipe/tlpipe/internal/budget"
)

// checkFooter walks through the footer before anything is made of it: the reader beneath allocates for lists as long as
// they are said to be.
func checkFooter(f *os.File, size int64) error {
	const end = 8 // length and magic
	if size < end+4 {
		return errors.New("it is too short")
	}
	var tail [end]byte
	if _, err := f.ReadAt(tail[:], size-end); err != nil {
		return err
	}
	if string(tail[4:]) != "PAR1" {
		return errors.New("it does not end as one")
	}
	length := int64(binary.LittleEndian.Uint32(tail[:4]))
	if length > size-end {
		return fmt.Errorf("a footer of %d bytes in a file of %d", length, size)
	}
	footer := make([]byte, length)
	if _, err := f.ReadAt(footer, size-end-length); err != nil {
		return err
	}
	c := &compact{data: footer}
	c.skip(compactStruct, 0)
	if c.err != nil {
		return fmt.Errorf("its footer: %w", c.err)
	}
	return nil
}

// checkPages goes through the headers of all pages that will be read, before the reader beneath allocates what they say:
// a page must lie in its column, be worth its memory, and become as large as it says and not larger.
func (f *parquetFile) checkPages(ctx context.Context, b *budget.Budget, columns []int) error {
	for group := range f.pq.NumRowGroups() {
		rows := f.pq.MetaData().RowGroup(group)
		for _, i := range columns {
			if err := ctx.Err(); err != nil {
				return err
			}
			chunk, err := rows.ColumnChunk(i)
			if err != nil {
				return err
			}
			values := rows.NumRows()
			if f.pq.MetaData().Schema.Column(i).MaxRepetitionLevel() > 0 {
				values = budget.Proportional(values, 0, longestList)
			}
			if err := f.checkChunk(ctx, b, chunk, values); err != nil {
				return fmt.Errorf("column %s: %w", f.pq.MetaData().Schema.Column(i).Path(), err)
			}
		}
	}
	return nil
}

// longestList is how many values a row of lists has at most.
const longestList = 1 << 20

// maxPageHeader bounds a page's header, which holds statistics, too.
const maxPageHeader = 1 << 20

func (f *parquetFile) checkChunk(ctx context.Context, b *budget.Budget, chunk *metadata.ColumnChunkMetaData, most int64) error {
	at := chunk.DataPageOffset()
	if chunk.HasDictionaryPage() && chunk.DictionaryPageOffset() > 0 && chunk.DictionaryPageOffset() < at {
		at = chunk.DictionaryPageOffset()
	}
	end := at + chunk.TotalCompressedSize()
	if at < 0 || chunk.TotalCompressedSize() < 0 || end < at || end > f.size {
		return fmt.Errorf("damaged: bytes %d to %d of a file of %d", at, end, f.size)
	}
	for values := int64(0); at < end && values < chunk.NumValues(); {
		if err := ctx.Err(); err != nil {
			return err
		}
		header, length, err := f.pageHeader(at, end)
		if err != nil {
			return fmt.Errorf("damaged: a page's header: %w", err)
		}
		at += int64(length)
		switch {
		case header.packed < 0 || header.size < 0 || header.values < 0 || header.levels > min(header.size, header.packed):
			return errors.New("damaged: a page of a negative size")
		case header.packed > end-at:
			return fmt.Errorf("damaged: a page of %d bytes in %d", header.packed, end-at)
		case header.kind == dictionaryPage && header.values > header.size, // a value has a byte at least
			header.kind != dictionaryPage && header.values > most:
			return fmt.Errorf("damaged: %d values in a page of %d bytes, for which there may be %d", header.values, header.size, most)
		}
		if err := b.Take(budget.Unpacked, header.size); err != nil {
			return err
		}
		if header.size > b.Left(budget.Memory)/2 { // it is held, and what is read of it, too
			return b.Take(budget.Memory, header.size*2)
		}
		if err := f.checkPacked(b, chunk.Compression(), header, at); err != nil {
			return err
		}
		at += header.packed
		if header.kind == dataPage || header.kind == dataPageV2 {
			values += header.values
		}
	}
	return nil
}

// pageHeader reads a header, of which it is not known how long it is.
func (f *parquetFile) pageHeader(at, end int64) (h pageHeader, length int, err error) {
	for most := int64(1 << 10); ; most *= 8 {
		data := make([]byte, min(most, end-at))
		if _, err := f.file.ReadAt(data, at); err != nil {
			return h, 0, err
		}
		h, length, err = readPageHeader(data)
		if !errors.Is(err, errThriftShort) || most > maxPageHeader || most >= end-at {
			return h, length, err
		}
	}
}

// checkPacked sees to it that a page becomes as large as it says. The codecs of most kinds stop there; these two do not.
func (f *parquetFile) checkPacked(b *budget.Budget, codec compress.Compression, h pageHeader, at int64) error {
	if h.unpacked || h.kind != dataPage && h.kind != dataPageV2 && h.kind != dictionaryPage {
		return nil
	}
	want := h.size - h.levels
	in := io.NewSectionReader(f.file, at+h.levels, h.packed-h.levels)
	lie := func(got string) error { return fmt.Errorf("damaged: a page becomes %s bytes, not %d", got, want) }
	switch codec {
	case compress.Codecs.Snappy:
		var head [binary.MaxVarintLen64]byte
		n, err := in.ReadAt(head[:], 0)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n == 0 && want == 0 {
			return nil
		}
		if got, err := snappy.DecodedLen(head[:n]); err != nil || int64(got) != want {
			return lie(fmt.Sprint(got))
		}
	case compress.Codecs.Zstd:
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return err
		}
		defer z.Close()
		switch n, err := io.Copy(io.Discard, io.LimitReader(z, want+1)); {
		case n > want:
			return lie("more than " + fmt.Sprint(want))
		case err != nil:
			return fmt.Errorf("damaged: %w", err)
		case n < want:
			return lie(fmt.Sprint(n))
		}
	}
	return nil
}
