package emoji

import (
	"archive/zip"
	_ "embed"
	"encoding/csv"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
)

//go:embed emoji.zip
var archive string

// A Row describes one picture of the set.
type Row struct {
	ID      string // domain and object: "noto/1f412"
	Label   string // one of eight classes: "mammal"
	Object  string // what is drawn, as hexadecimal code points: "1f412"
	Domain  string // the drawing style: noto, twemoji or fluent
	Caption string // the name in plain words: "monkey"
	Digest  string // SHA-256 of the picture file, in hexadecimal
}

// A Set is the opened data set. It may be used by several goroutines at once.
type Set struct {
	rows  []Row
	files map[string]*zip.File // by Row.ID
}

// Open reads the index of the embedded set.
func Open() (*Set, error) {
	reader, err := zip.NewReader(strings.NewReader(archive), int64(len(archive)))
	if err != nil {
		return nil, fmt.Errorf("open embedded emoji: %w", err)
	}
	byPath := make(map[string]*zip.File, len(reader.File))
	for _, file := range reader.File {
		byPath[file.Name] = file
	}
	index, err := reader.Open("index.csv")
	if err != nil {
		return nil, fmt.Errorf("open embedded emoji: %w", err)
	}
	defer index.Close()
	set, err := readIndex(index, byPath)
	if err != nil {
		return nil, fmt.Errorf("read index of embedded emoji: %w", err)
	}
	return set, nil
}

// Rows returns all rows in their fixed order: class by class, within a class object by object, and
// of each object the styles noto, twemoji, fluent. The slice is the caller's own.
func (s *Set) Rows() []Row { return slices.Clone(s.rows) }

// Read returns the picture file of a row: a PNG or a lossless WebP of 64×64 pixels, most with a
// transparent background. An unknown id gives an error that wraps fs.ErrNotExist.
func (s *Set) Read(id string) ([]byte, error) {
	file, ok := s.files[id]
	if !ok {
		return nil, fmt.Errorf("read emoji %q: %w", id, fs.ErrNotExist)
	}
	data, err := readFile(file)
	if err != nil {
		return nil, fmt.Errorf("read emoji %q: %w", id, err)
	}
	return data, nil
}

func readFile(file *zip.File) ([]byte, error) {
	reader, err := file.Open()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	return io.ReadAll(reader)
}

// readIndex reads the table that make/make.py writes, and joins it to the files of the archive.
func readIndex(index io.Reader, byPath map[string]*zip.File) (*Set, error) {
	table := csv.NewReader(index)
	header, err := table.Read()
	if err != nil {
		return nil, err
	}
	if want := []string{"id", "path", "label", "object", "domain", "caption", "sha256"}; !slices.Equal(header, want) {
		return nil, fmt.Errorf("columns %q, want %q", header, want)
	}
	records, err := table.ReadAll()
	if err != nil {
		return nil, err
	}
	set := &Set{rows: make([]Row, 0, len(records)), files: make(map[string]*zip.File, len(records))}
	for _, r := range records {
		row := Row{ID: r[0], Label: r[2], Object: r[3], Domain: r[4], Caption: r[5], Digest: r[6]}
		file, ok := byPath[r[1]]
		if !ok {
			return nil, fmt.Errorf("%s: no file %s in the archive", row.ID, r[1])
		}
		set.rows = append(set.rows, row)
		set.files[row.ID] = file
	}
	return set, nil
}
