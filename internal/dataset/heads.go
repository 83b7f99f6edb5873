package dataset

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tlpipe/tlpipe/internal/matfile"
	"github.com/tlpipe/tlpipe/internal/npy"
	"github.com/tlpipe/tlpipe/internal/record"
)

// Columns tells, without listing its rows, which columns a source has. all is false if there may be others, as in
// archives, or if the source's head cannot be read: listing it will tell why.
//
// What is wrong with a head that can be read is an error: a column that the source is said to have and does not.
func Columns(ctx context.Context, source Source) (names []string, all bool, err error) {
	names = []string{record.ID, record.Label, record.Split, record.Domain}
	if s, ok := source.(headed); ok {
		further, all, err := s.further(ctx)
		return append(names, further...), all, err
	}
	return names, false, nil
}

// headed is a source whose further columns are known from a header, a file's metadata, or its kind.
type headed interface {
	further(ctx context.Context) (names []string, all bool, err error)
}

func (Folder) further(context.Context) ([]string, bool, error) { return nil, true, nil }

func (IDX) further(context.Context) ([]string, bool, error) { return nil, true, nil }

func (Emoji) further(context.Context) ([]string, bool, error) {
	return []string{ObjectColumn, record.Caption}, true, nil
}

func (c CSV) further(ctx context.Context) ([]string, bool, error) {
	header, ok, noRows := csvHeader(ctx, c.Path, c.separator())
	if !ok {
		return nil, false, noRows
	}
	at, _, err := c.find(header)
	if err = cmp.Or(err, noRows); err != nil {
		return nil, false, err
	}
	var names []string
	var rows Rows
	for i, name := range header {
		if !at.takes(i) && name != "" {
			names = append(names, rows.extraName(name, header))
		}
	}
	return names, true, nil
}

// mostOfHead is how much of a table is looked at for its header.
const mostOfHead = 1 << 20

// csvHeader reads the names in the first line of a table. ok is false if it cannot tell. noRows is an error for a table that has none.
func csvHeader(ctx context.Context, path string, separator rune) (header []string, ok bool, noRows error) {
	f, err := openFile(path)
	if err != nil {
		return nil, false, nil
	}
	defer f.Close() // it was only read
	head, err := io.ReadAll(io.LimitReader(withContext(ctx, f), mostOfHead))
	if err != nil {
		return nil, false, nil
	}
	whole := len(head) < mostOfHead
	if !whole {
		head = head[:bytes.LastIndexAny(head, "\r\n")+1]
	}
	enc, err := encodingOf(bytes.NewReader(head))
	if err != nil {
		return nil, false, nil
	}
	in := csv.NewReader(enc.reader(bytes.NewReader(head)))
	in.Comma, in.FieldsPerRecord, in.LazyQuotes = separator, -1, true
	header, err = in.Read()
	if errors.Is(err, io.EOF) && whole {
		return nil, false, errors.New("it is empty; the first line must name the columns")
	}
	if err != nil {
		return nil, false, nil
	}
	for i := range header {
		header[i] = text(strings.TrimSpace(header[i]))
		if !whole && strings.ContainsFunc(header[i], func(r rune) bool { return r >= utf8.RuneSelf }) {
			return nil, false, nil // what its letters are depends on all of the file
		}
	}
	if _, err := in.Read(); errors.Is(err, io.EOF) && whole {
		noRows = errors.New("it has no rows below the names of its columns")
	}
	return header, true, noRows
}

// mostFooters is how many Parquet files of one source are looked at for their columns.
const mostFooters = 32

func (p Parquet) further(context.Context) (names []string, all bool, err error) {
	paths, err := expand(p.Patterns)
	if err != nil || len(paths) > mostFooters {
		return nil, false, nil
	}
	for _, path := range paths {
		columns, err := p.columns(path)
		if err != nil {
			return nil, false, nil // a reject
		}
		for _, name := range columns {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names, true, nil
}

// columns are the further columns of one file, as index has them.
func (p Parquet) columns(path string) (names []string, err error) {
	f, err := p.open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if r := recover(); r != nil {
			err = malformed{fmt.Errorf("damaged: %v", r)}
		}
		err = errors.Join(err, f.Close())
	}()
	var rows Rows
	for _, i := range f.textColumns() {
		names = append(names, f.pq.MetaData().Schema.Column(i).ColumnPath()[0])
	}
	for _, meaning := range []string{record.ID, record.Label, record.Split, record.Domain} {
		if at := p.find(names, meaning); at >= 0 {
			names = slices.Delete(names, at, at+1)
		}
	}
	for i, name := range names {
		names[i] = rows.extraName(name, names)
	}
	return names, nil
}

func (v Vectors) further(ctx context.Context) ([]string, bool, error) {
	switch v.ending() {
	case ".csv", ".tsv", ".tab":
		header, ok, noRows := csvHeader(ctx, v.Path, CSV{Path: v.Path, Separator: v.Separator}.separator())
		if !ok {
			return nil, false, noRows
		}
		return header, true, cmp.Or(v.checkNames(header), noRows)
	}
	if err := v.checkHead(); err != nil {
		return nil, false, fmt.Errorf("%s: %w", filepath.Base(v.Path), err)
	}
	if file := v.separateLabels(); strings.EqualFold(filepath.Ext(file), ".npy") {
		if err := checkArray(file, 1, npy.LabelShape); err != nil {
			return nil, false, fmt.Errorf("the labels in %s: %w", filepath.Base(file), err)
		}
	}
	return nil, false, nil
}

// checkHead refuses a file that is not what its ending says, by its header or footer. A file that cannot be opened is left to the
// listing.
func (v Vectors) checkHead() error {
	switch v.ending() {
	case ".npy":
		return checkArray(v.Path, 2, npy.Shape)
	case ".mat":
		f, err := openFile(v.Path)
		if err != nil {
			return nil
		}
		defer f.Close() // it was only read
		_, err = matfile.Check(f)
		return err
	case ".parquet":
		f, err := openParquet(v.Path)
		if wrong := new(malformed); errors.As(err, wrong) {
			return err
		}
		if err == nil {
			f.Close() // it was only read
		}
	}
	return nil
}

// checkArray refuses a file that does not have an array of so many dimensions or more, by what reads its shape.
func checkArray(path string, dimensions int, shapeOf func(io.Reader, int64) ([]int, error)) error {
	f, err := openFile(path)
	if err != nil {
		return nil
	}
	defer f.Close() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	shape, err := shapeOf(f, info.Size())
	if err == nil && len(shape) < dimensions {
		err = notRows(shape)
	}
	return err
}

// notRows says that an array has no rows of features.
func notRows(shape []int) error {
	return fmt.Errorf("an array of shape %v: rows of features have two dimensions or more", shape)
}
