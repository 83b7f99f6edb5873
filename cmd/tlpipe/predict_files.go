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

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/dataset"
	"github.com/tlpipe/tlpipe/internal/document"
	"github.com/tlpipe/tlpipe/internal/domain/drift"
	"github.com/tlpipe/tlpipe/internal/export"
	"github.com/tlpipe/tlpipe/internal/predict"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/textinput"
)

// predictFiles are files, or texts that were read from standard input.
type predictFiles struct {
	names []string
	texts []string // nil: the names are paths
}

func (f predictFiles) predict(ctx context.Context, by *predict.Predictor, jobs int, done func(name string, all []predict.Prediction, err error)) (*drift.Finding, error) {
	if f.texts != nil {
		return by.Texts(ctx, f.names, f.texts, jobs, done)
	}
	return by.Files(ctx, f.names, jobs, done)
}

// standardInput is how arguments name it.
const standardInput = "-"

// checkTexts refuses flags for texts that do not fit the arguments.
func (f *predictFlags) checkTexts(args []string) error {
	switch {
	case f.as != "" && !slices.Contains([]document.Format{document.Plain, document.Mail, document.HTML}, document.Format(f.as)):
		return usage("--as %s: expected text, mail or html", f.as)
	case slices.Contains(args, standardInput) && len(args) > 1:
		return usage("- is standard input: name it alone")
	case f.lines && args[0] != standardInput:
		return usage("--lines is for standard input: give - in place of files")
	}
	return nil
}

// takenBy is what a predictor takes.
func takenBy(predictor *predict.Predictor) dataset.Content {
	switch {
	case predictor.OnTexts():
		return dataset.Texts
	case predictor.OnSounds():
		return dataset.Sounds
	}
	return dataset.Pictures
}

// filesOf lists what arguments stand for: files, folders with all pictures, texts or sounds in them, patterns that the shell
// left as they are, and standard input.
func (p *program) filesOf(ctx context.Context, content dataset.Content, f predictFlags, args []string) (predictFiles, error) {
	if content != dataset.Texts && (f.as != "" || f.lines || args[0] == standardInput) {
		return predictFiles{}, usage("--as, --lines and standard input are for models of texts, and %s takes %s", f.model, content.Many())
	}
	if args[0] == standardInput {
		return readTexts(os.Stdin, f.lines)
	}
	var out []string
	for _, arg := range args {
		info, err := os.Stat(arg)
		switch {
		case err == nil && info.IsDir():
			rows, err := dataset.Folder{Path: arg, Layout: dataset.LayoutClasses, Content: content, Format: document.Format(f.as)}.List(ctx, nil)
			if err != nil {
				return predictFiles{}, err
			}
			for _, row := range rows.All {
				out = append(out, row.At.Path)
			}
			for _, r := range rows.Rejects {
				fmt.Fprintf(p.err, "%s: %s\n", console.Line(filepath.Join(arg, r.ID)), console.Line(r.Reason))
			}
			if len(rows.All) == 0 {
				return predictFiles{}, usage("there are no %s in the folder %s", content.Many(), arg)
			}
		case err != nil && strings.ContainsAny(arg, "*?["):
			found, err := filepath.Glob(arg)
			if err != nil || len(found) == 0 {
				return predictFiles{}, usage("no file matches %s", arg)
			}
			out = append(out, found...)
		default:
			out = append(out, arg) // one that is not there is reported with the others
		}
	}
	return predictFiles{names: out}, nil
}

// readTexts reads a text, or one from each line that is not empty.
func readTexts(in io.Reader, lines bool) (predictFiles, error) {
	raw, err := io.ReadAll(io.LimitReader(in, textinput.MostFile+1))
	if err == nil && len(raw) > textinput.MostFile {
		err = fmt.Errorf("it has more than %s", budget.Bytes(textinput.MostFile))
	}
	if err != nil {
		return predictFiles{}, fmt.Errorf("read standard input: %w", err)
	}
	if !lines {
		return predictFiles{[]string{standardInput}, []string{string(raw)}}, nil
	}
	out := predictFiles{texts: []string{}}
	number := 0
	for line := range strings.Lines(string(raw)) {
		if number++; strings.TrimSpace(line) != "" {
			out.names, out.texts = append(out.names, fmt.Sprintf("line %d", number)), append(out.texts, line)
		}
	}
	return out, nil
}

// scoreWriter writes what a model says of files, a row each, in the order in which it is told.
type scoreWriter interface {
	row(image string, all []predict.Prediction, err error) error
	close() error
}

// checkScoreFile refuses a name whose ending tells no format.
func checkScoreFile(path string) error {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".csv", ".jsonl", ".ndjson", ".parquet":
		return nil
	}
	return usage("--out %s: the name ends in .csv, .jsonl or .parquet", path)
}

// isLines tells whether a file of scores has a JSON object per line.
func isLines(path string) bool {
	ending := strings.ToLower(filepath.Ext(path))
	return ending == ".jsonl" || ending == ".ndjson"
}

// newScoreWriter chooses the format by the file's ending.
func newScoreWriter(path string, onTexts bool, head record.Head, out io.Writer) (scoreWriter, error) {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".csv":
		return newScoreTable(onTexts, head, out)
	case ".parquet":
		return newScoreParquet(onTexts, head, out)
	}
	return scoreLines{onTexts, json.NewEncoder(out)}, nil
}

type scoreLines struct {
	onTexts bool
	out     *json.Encoder
}

func (s scoreLines) row(image string, all []predict.Prediction, err error) error {
	return s.out.Encode(predictedOf(s.onTexts, image, all, err))
}

func (scoreLines) close() error { return nil }

// scoreColumns are the columns of a table of scores: image, or text; of models that tell classes the predicted one, or those that are
// more probable than not, and of single-label models its probability; then the probability of each class, or each number;
// and why a file could not be read.
type scoreColumns struct {
	first string // the name of the first: image, or text
	head  record.Head
	place map[string]int // of the head's names
}

func newScoreColumns(onTexts bool, head record.Head) scoreColumns {
	c := scoreColumns{record.Image, head, map[string]int{}}
	if onTexts {
		c.first = record.Text
	}
	for i, name := range head.Names() {
		c.place[name] = i
	}
	return c
}

func (c scoreColumns) before() []string {
	switch c.head.Task {
	case record.Regression:
		return []string{c.first}
	case record.MultiLabel:
		return []string{c.first, record.Predicted}
	}
	return []string{c.first, record.Predicted, "probability"}
}

// names are those of the columns; a class that is called as another column gets a longer name.
func (c scoreColumns) names() []string {
	out := c.before()
	taken := append(c.before(), "error")
	for _, name := range c.head.Names() {
		for slices.Contains(taken, name) {
			name = "class " + name
		}
		out = append(out, name)
	}
	return append(out, "error")
}

// values are the head's numbers, in its order.
func (c scoreColumns) values(all []predict.Prediction) []float32 {
	out := make([]float32, len(c.place))
	for _, x := range all {
		out[c.place[x.Label]] = float32(x.Probability)
		if x.IsNumber {
			out[c.place[x.Label]] = float32(x.Value)
		}
	}
	return out
}

// classes are those that the model tells: the most probable one, or all that are more probable than not.
func (c scoreColumns) classes(all []predict.Prediction) (out []string) {
	for i, x := range all {
		if c.head.Task == record.SingleLabel && i == 0 || c.head.Task == record.MultiLabel && x.Probability >= 0.5 {
			out = append(out, x.Label)
		}
	}
	slices.Sort(out)
	return out
}

// scoreTable is a CSV.
type scoreTable struct {
	scoreColumns
	out *csv.Writer
}

func newScoreTable(onTexts bool, head record.Head, out io.Writer) (*scoreTable, error) {
	t := &scoreTable{newScoreColumns(onTexts, head), csv.NewWriter(out)}
	return t, t.out.Write(t.names())
}

func (s *scoreTable) row(image string, all []predict.Prediction, err error) error {
	cells := make([]string, len(s.before())+len(s.place)+1)
	cells[0] = image
	if err != nil {
		cells[len(cells)-1] = reasonOf(err)
		return s.out.Write(cells)
	}
	if s.head.Task != record.Regression {
		cells[1] = strings.Join(s.classes(all), ";")
	}
	if s.head.Task == record.SingleLabel {
		cells[2] = inDigits(float32(all[0].Probability))
	}
	for i, x := range s.values(all) {
		cells[len(s.before())+i] = inDigits(x)
	}
	return s.out.Write(cells)
}

func inDigits(x float32) string { return strconv.FormatFloat(float64(x), 'g', -1, 32) }

func (s *scoreTable) close() error {
	s.out.Flush()
	return s.out.Error()
}

// scoreParquet is a Parquet file.
type scoreParquet struct {
	scoreColumns
	out  *export.ParquetWriter
	rows *array.RecordBuilder
	n    int
}

// scoreBatch is how many rows are held until they are written.
const scoreBatch = 1024

func newScoreParquet(onTexts bool, head record.Head, out io.Writer) (*scoreParquet, error) {
	s := &scoreParquet{scoreColumns: newScoreColumns(onTexts, head)}
	var fields []arrow.Field
	for i, name := range s.names() {
		f := arrow.Field{Name: name, Type: arrow.PrimitiveTypes.Float32, Nullable: i > 0}
		switch {
		case name == record.Predicted && head.Task == record.MultiLabel && i == 1:
			f = record.ClassesField(name)
		case i == 0, name == record.Predicted && i == 1, i == len(s.names())-1:
			f.Type = arrow.BinaryTypes.String
		}
		fields = append(fields, f)
	}
	schema := arrow.NewSchema(fields, nil)
	s.rows = array.NewRecordBuilder(memory.DefaultAllocator, schema)
	var err error
	s.out, err = export.NewParquetWriter(out, schema)
	return s, err
}

func (s *scoreParquet) row(image string, all []predict.Prediction, err error) error {
	s.rows.Field(0).(*array.StringBuilder).Append(image)
	last := len(s.rows.Fields()) - 1
	if err != nil {
		for i := 1; i < last; i++ {
			s.rows.Field(i).AppendNull()
		}
		s.rows.Field(last).(*array.StringBuilder).Append(reasonOf(err))
		return s.flush(scoreBatch)
	}
	switch s.head.Task {
	case record.MultiLabel:
		list := s.rows.Field(1).(*array.ListBuilder)
		list.Append(true)
		for _, class := range s.classes(all) {
			list.ValueBuilder().(*array.StringBuilder).Append(class)
		}
	case record.SingleLabel:
		s.rows.Field(1).(*array.StringBuilder).Append(all[0].Label)
		s.rows.Field(2).(*array.Float32Builder).Append(float32(all[0].Probability))
	}
	for i, x := range s.values(all) {
		s.rows.Field(len(s.before()) + i).(*array.Float32Builder).Append(x)
	}
	s.rows.Field(last).AppendNull()
	return s.flush(scoreBatch)
}

// flush writes the rows held if they are as many.
func (s *scoreParquet) flush(atLeast int) error {
	if s.n++; s.n < atLeast {
		return nil
	}
	s.n = 0
	rec := s.rows.NewRecord()
	defer rec.Release()
	return s.out.Write(rec)
}

func (s *scoreParquet) close() error {
	err := s.flush(0)
	return errors.Join(err, s.out.Close())
}
