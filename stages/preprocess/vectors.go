package preprocess

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/dataset"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// VectorParams are the parameters of the kind vectors.
type VectorParams struct {
	Source VectorSources `yaml:"source" recipe:"-" required:"true" doc:"the files of numbers: one, or a list"`
	Target *Target       `yaml:"target" recipe:"-" doc:"what to predict, if not the label: a column with a class, {classes: tags, separator: \";\"}, or {numbers: [age]}"`
	Split  Split         `yaml:"split" recipe:"-" doc:"how rows are split into train, val and test"`
	Divide string        `yaml:"divide" enum:"none,sum,length" doc:"divide the numbers of each row by their sum, or by their length"`
}

// VectorSource is a file of numbers as YAML spells it.
type VectorSource struct {
	File      string              `yaml:"file" recipe:"-" required:"true" doc:"a .csv or .tsv with a header, a .parquet or .arrow (also .feather, .ipc) with a column of lists of numbers or columns of numbers, a .npy or a .mat (version 5)"`
	Features  []string            `yaml:"features" recipe:"-" doc:"the columns of numbers, the column of lists, or the matrix of a .mat; if not given, all columns of numbers, the only column of lists (of whole numbers only if its name is usual, such as embedding, or nothing else has numbers), or the only matrix of features"`
	Labels    string              `yaml:"labels" recipe:"-" doc:"the column of the labels, the matrix of a .mat; of a .npy, a file: .npy of numbers or texts, or text with one label a line"`
	Columns   map[string]string   `yaml:"columns" recipe:"-" doc:"which columns hold id, label, split, domain, where their names differ"`
	Separator string              `yaml:"separator" recipe:"-" doc:"of a CSV: the separator; a tab for .tsv, else a comma"`
	Classes   []string            `yaml:"classes" recipe:"-" doc:"names of numeric labels, counted from 0"`
	Domain    string              `yaml:"domain" recipe:"-" doc:"the domain of all its rows; it becomes part of their ids"`
	Label     string              `yaml:"label" recipe:"-" doc:"the label of all its rows"`
	Split     string              `yaml:"split" recipe:"-" enum:"train,val,test" doc:"the split of all its rows"`
	Only      map[string][]string `yaml:"only" recipe:"-" doc:"keep the rows whose column has one of these values: {label: [cat, dog]}"`
	Limit     int                 `yaml:"limit" recipe:"-" min:"0" doc:"maximum number of rows, selected by a hash of their ids; 0 keeps all"`
	Limits    Limits              `yaml:"limits" recipe:"-" doc:"limits on the resources for reading it; raise them for trusted data that exceeds the defaults"`
}

// VectorSources is one file or a list.
type VectorSources []VectorSource

// DecodeParam implements params.Decoder: a single file needs no brackets.
func (s *VectorSources) DecodeParam(d *params.Decoding, node *yaml.Node) {
	var list []VectorSource
	d.Into(node, &list)
	*s = list
}

// Vectors declares the kind vectors.
func Vectors() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "vectors",
		Summary: "read rows of numbers from tables and arrays as ready features",
		Doc: "Reads feature vectors that were computed elsewhere, or tabular data: columns of a CSV, lists of a Parquet file, arrays of NumPy, " +
			"matrices of a MAT-file of version 5. Without features, all numeric columns are features, except those that target, split.by " +
			"or only name. Splits the rows into train, val and test as preprocess does. All files must have " +
			"the same number of features. Rows with a number that is missing or not finite are rejected.",
		Example: `features:
  uses: vectors
  with:
    source: {file: data/wine.csv, labels: quality}
`,
		Version: 1,
		Outputs: []pipeline.Port{{Name: "features", Kind: pipeline.Features, Doc: "one row per vector, with id, feature, label, split, domain and other columns of the sources"}},
	}, VectorParams{Split: defaultSplit, Divide: "none"}, func(p VectorParams) (pipeline.Stage, error) {
		if err := p.check(); err != nil {
			return nil, err
		}
		return &vectorStage{params: p}, nil
	})
}

func (p VectorParams) check() error {
	var errs []error
	if len(p.Source) == 0 {
		errs = append(errs, pipeline.ParamErrorHint("source", "such as {file: data/wine.csv}", "there are no files"))
	}
	for i, s := range p.Source {
		path := sourcePath(i, len(p.Source))
		ending := strings.ToLower(filepath.Ext(s.File))
		table := slices.Contains([]string{".csv", ".tsv", ".tab", ".parquet", ".arrow", ".feather", ".ipc"}, ending)
		if !table && ending != ".npy" && ending != ".mat" {
			errs = append(errs, pipeline.ParamErrorHint(path+".file", "a .csv, .tsv, .parquet, .arrow, .npy or .mat", "the extension of %q is not supported", s.File))
		}
		if len(s.Columns) > 0 && !table {
			errs = append(errs, pipeline.ParamErrorHint(path+".columns", "leave it out; labels names where the labels are", "a %s has no columns with names", ending))
		}
		if len(s.Features) > 0 && ending == ".npy" || len(s.Features) > 1 && ending == ".mat" {
			errs = append(errs, pipeline.ParamErrorHint(path+".features", "leave it out", "a %s has one array of features", ending))
		}
		meanings := []string{record.ID, record.Label, record.Split, record.Domain}
		for _, meaning := range slices.Sorted(maps.Keys(s.Columns)) {
			if !slices.Contains(meanings, meaning) {
				errs = append(errs, pipeline.ParamErrorHint(path+".columns."+meaning, params.HintForKey(meaning, meanings), "columns of a source are known by what they mean, and %q is no meaning", meaning))
			}
		}
		if utf8.RuneCountInString(s.Separator) > 1 {
			errs = append(errs, pipeline.ParamErrorHint(path+".separator", `such as ";"`, "expected one character, found %q", s.Separator))
		}
	}
	return errors.Join(append(errs, p.Split.check(), p.Target.check())...)
}

type vectorStage struct {
	params VectorParams
	dir    string
}

// Locate implements pipeline.Located.
func (s *vectorStage) Locate(dir string) { s.dir = dir }

// Probe implements pipeline.Probing: it looks whether the files are there, and for the columns in the headers of tables.
func (s *vectorStage) Probe() error {
	var errs []error
	for i, v := range s.params.Source {
		path := sourcePath(i, len(s.params.Source))
		errs = append(errs, probeOne(path+".file", s.dir, v.File, false))
		if v.Labels != "" && strings.EqualFold(filepath.Ext(v.File), ".npy") {
			errs = append(errs, probeOne(path+".labels", s.dir, v.Labels, false))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return probeColumns(s.parts(), func(i int) string { return sourcePath(i, len(s.params.Source)) + ".file" }, s.params.Target, s.params.Split)
}

// Check implements pipeline.Stage.
func (s *vectorStage) Check(map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	return map[string]pipeline.Traits{"features": {record.TaskKey: string(s.params.Target.task())}}, nil
}

// Estimate implements pipeline.Estimator: the largest file as it is held while its rows are read, and its text or packed form.
func (s *vectorStage) Estimate(map[string][]pipeline.Input) (pipeline.Resources, error) {
	largest := int64(0)
	for _, v := range s.params.Source {
		if info, err := os.Stat(within(s.dir, v.File)); err == nil {
			largest = max(largest, info.Size())
		}
	}
	return pipeline.Resources{Memory: 6 * largest}, nil
}

// Columns implements pipeline.RowWise.
func (s *vectorStage) Columns(*arrow.Schema) (pipeline.Columns, error) {
	return pipeline.Columns{Reads: []string{dataset.ContentColumn}, Drops: []string{dataset.ContentColumn}}, nil
}

// others are the columns that are used in another way than as features.
func (s *vectorStage) others(v VectorSource) []string {
	out := s.params.Target.columns()
	if s.params.Split.By != "" {
		out = append(out, s.params.Split.By)
	}
	return append(out, slices.Sorted(maps.Keys(v.Only))...)
}

func (s *vectorStage) parts() []dataset.Part {
	out := make([]dataset.Part, len(s.params.Source))
	for i, v := range s.params.Source {
		separator, _ := utf8.DecodeRuneInString(v.Separator)
		if v.Separator == "" {
			separator = 0
		}
		source := dataset.Vectors{
			Path: within(s.dir, v.File), Features: v.Features, Labels: v.Labels, Columns: v.Columns, Others: s.others(v), Classes: v.Classes, Separator: separator,
			Limits: v.Limits.of(),
		}
		if strings.EqualFold(filepath.Ext(v.File), ".npy") {
			source.Labels = within(s.dir, v.Labels)
		}
		out[i] = dataset.Part{Source: source, Domain: v.Domain, Label: v.Label, Split: v.Split, Only: v.Only, Limit: v.Limit}
	}
	return out
}

// List implements pipeline.Source.
func (s *vectorStage) List(ctx context.Context, env *pipeline.Env) (pipeline.Listing, error) {
	table, err := dataset.List(ctx, env.Files, max(env.Threads, listers), s.parts())
	if err != nil {
		return pipeline.Listing{}, err
	}
	if len(table.All) == 0 {
		return pipeline.Listing{}, errors.New("there are no rows of numbers in the files")
	}
	for i, row := range table.All {
		if row.At.Size != table.All[0].At.Size {
			return pipeline.Listing{}, fmt.Errorf("%s has %d features, %s has %d", table.All[0].At.Path, table.All[0].At.Size/4, table.All[i].At.Path, row.At.Size/4)
		}
	}
	overview, err := divideListing(table, s.params.Target, s.params.Split)
	if err != nil {
		return pipeline.Listing{}, err
	}
	overview.Width = int(table.All[0].At.Size / 4)
	return pipeline.Listing{Rows: table.Record(), Rejects: table.Rejects, Overview: overview}, nil
}

// Open implements pipeline.RowWise.
func (s *vectorStage) Open(context.Context, *pipeline.Env, map[string][]pipeline.Input) (pipeline.Mapper, error) {
	set, err := dataset.Open(s.parts())
	if err != nil {
		return nil, fmt.Errorf("open the files: %w", err)
	}
	return &vectorMapper{divide: s.params.Divide, set: set}, nil
}

type vectorMapper struct {
	divide string
	set    *dataset.Set
}

// Close implements pipeline.Mapper.
func (m *vectorMapper) Close() error { return m.set.Close() }

// Map implements pipeline.Mapper.
func (m *vectorMapper) Map(ctx context.Context, in arrow.Record) (pipeline.Mapped, error) {
	rows, err := dataset.ParseListing(in)
	if err != nil {
		return pipeline.Mapped{}, err
	}
	out := pipeline.Mapped{Rejects: map[int]string{}}
	var raw []byte
	kept, width := 0, 0
	for i := range rows.Len() {
		part, at, digest := rows.Source(i)
		data, err := m.set.Read(ctx, part, at, digest)
		if err != nil {
			return pipeline.Mapped{}, err
		}
		width = len(data) / 4
		if reason := m.scale(data); reason != "" {
			out.Rejects[i] = reason
			continue
		}
		raw = append(raw, data...)
		kept++
	}
	field := record.TensorField(record.Feature, arrow.PrimitiveTypes.Float32, width)
	column := record.NewTensors(field.Type, raw, kept)
	defer column.Release()
	out.Rows = array.NewRecord(arrow.NewSchema([]arrow.Field{field}, nil), []arrow.Array{column}, int64(kept))
	return out, nil
}

// scale divides the numbers of a row, in place.
func (m *vectorMapper) scale(data []byte) (reason string) {
	if m.divide == "none" {
		return ""
	}
	sum := 0.0
	at := func(i int) float64 { return float64(math.Float32frombits(binary.LittleEndian.Uint32(data[i:]))) }
	for i := 0; i < len(data); i += 4 {
		if x := at(i); m.divide == "sum" {
			sum += x
		} else {
			sum += float64(x * x)
		}
	}
	if m.divide == "length" {
		sum = math.Sqrt(sum)
	}
	if sum == 0 {
		return "the numbers cannot be divided by their " + m.divide + ", which is 0"
	}
	for i := 0; i < len(data); i += 4 {
		binary.LittleEndian.PutUint32(data[i:], math.Float32bits(float32(at(i)/sum)))
	}
	return ""
}
