package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/dataset"
	"github.com/tlpipe/tlpipe/internal/predict"
)

// picturesOf lists the files that arguments stand for: files, folders with all pictures in them, and patterns that the shell
// left as they are.
func (p *program) picturesOf(ctx context.Context, args []string) ([]string, error) {
	var out []string
	for _, arg := range args {
		info, err := os.Stat(arg)
		switch {
		case err == nil && info.IsDir():
			rows, err := dataset.Folder{Path: arg, Layout: dataset.LayoutClasses}.List(ctx, nil)
			if err != nil {
				return nil, err
			}
			for _, row := range rows.All {
				out = append(out, row.At.Path)
			}
			for _, r := range rows.Rejects {
				fmt.Fprintf(p.err, "%s: %s\n", console.Line(filepath.Join(arg, r.ID)), console.Line(r.Reason))
			}
			if len(rows.All) == 0 {
				return nil, usage("there are no pictures in the folder %s", arg)
			}
		case err != nil && strings.ContainsAny(arg, "*?["):
			found, err := filepath.Glob(arg)
			if err != nil || len(found) == 0 {
				return nil, usage("no file matches %s", arg)
			}
			out = append(out, found...)
		default:
			out = append(out, arg) // one that is not there is reported with the others
		}
	}
	return out, nil
}

// scoreWriter writes what a model says of pictures, a row each, in the order in which it is told.
type scoreWriter interface {
	row(image string, all []predict.Prediction, err error) error
	close() error
}

// newScoreWriter chooses the format by the file's ending.
func newScoreWriter(path string, out io.Writer) (scoreWriter, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".csv":
		return &scoreTable{out: csv.NewWriter(out)}, nil
	case ".jsonl", ".ndjson":
		return scoreLines{json.NewEncoder(out)}, nil
	}
	return nil, usage("--out %s: the name ends in .csv or .jsonl", path)
}

type scoreLines struct{ out *json.Encoder }

func (s scoreLines) row(image string, all []predict.Prediction, err error) error {
	if err != nil {
		return s.out.Encode(predicted{Image: image, Error: reasonOf(err)})
	}
	return s.out.Encode(predicted{Image: image, Predictions: all})
}

func (scoreLines) close() error { return nil }

// scoreTable is a CSV: image, the most probable class, its probability, the probability of each class (or each number), and why
// a file could not be read. Rows before the first that could be read are kept until the classes are known.
type scoreTable struct {
	out     *csv.Writer
	labels  []string
	begun   bool
	waiting [][2]string // image, error
}

func (s *scoreTable) row(image string, all []predict.Prediction, err error) error {
	switch {
	case err != nil && !s.begun:
		s.waiting = append(s.waiting, [2]string{image, reasonOf(err)})
		return nil
	case err != nil:
		return s.failed(image, reasonOf(err))
	}
	if !s.begun {
		for _, x := range all {
			s.labels = append(s.labels, x.Label)
		}
		slices.Sort(s.labels)
		if err := s.begin(); err != nil {
			return err
		}
	}
	cells := make([]string, len(s.labels))
	for _, x := range all {
		value := x.Probability
		if x.IsNumber {
			value = x.Value
		}
		if at, ok := slices.BinarySearch(s.labels, x.Label); ok {
			cells[at] = strconv.FormatFloat(value, 'g', -1, 32)
		}
	}
	first, probability := "", ""
	if len(all) > 0 && !all[0].IsNumber {
		first, probability = all[0].Label, strconv.FormatFloat(all[0].Probability, 'g', -1, 32)
	}
	return s.out.Write(append(append([]string{image, first, probability}, cells...), ""))
}

func (s *scoreTable) begin() error {
	s.begun = true
	err := s.out.Write(append(append([]string{"image", "predicted", "probability"}, s.labels...), "error"))
	for _, w := range s.waiting {
		err = errors.Join(err, s.failed(w[0], w[1]))
	}
	return err
}

func (s *scoreTable) failed(image, reason string) error {
	row := make([]string, 4+len(s.labels))
	row[0], row[len(row)-1] = image, reason
	return s.out.Write(row)
}

func (s *scoreTable) close() error {
	var err error
	if !s.begun {
		err = s.begin()
	}
	s.out.Flush()
	return errors.Join(err, s.out.Error())
}
