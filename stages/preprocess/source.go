package preprocess

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/dataset"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Source is one source of pictures as YAML spells it: exactly one of Folder,
// CSV, Parquet, Tar, IDX and Builtin. Paths start at the pipeline's folder;
// they do not enter cache keys, what is found there does.
type Source struct {
	Folder  string   `yaml:"folder" recipe:"-" doc:"a folder with one sub-folder per class, or with sub-folders train, val and test of that form"`
	CSV     string   `yaml:"csv" recipe:"-" doc:"a table with a header: path, and optionally label, split, domain and other columns"`
	Parquet []string `yaml:"parquet" recipe:"-" doc:"files, or patterns such as data/train-*.parquet, as written by Hugging Face datasets"`
	Tar     []string `yaml:"tar" recipe:"-" doc:"archives, or patterns, of a WebDataset; .tar or .tar.gz"`
	IDX     *IDX     `yaml:"idx" recipe:"-" doc:"a pair of files in MNIST's format, plain or .gz"`
	Builtin string   `yaml:"builtin" recipe:"-" doc:"emoji: 504 images of 168 objects in three drawing styles, built into tlpipe"`

	Layout  string              `yaml:"layout" recipe:"-" enum:"auto,classes,splits" doc:"of a folder: whether its sub-folders are classes or splits"`
	Root    string              `yaml:"root" recipe:"-" doc:"of a CSV: where relative paths in it start; its own folder if not given"`
	Columns map[string]string   `yaml:"columns" recipe:"-" doc:"of a CSV or Parquet: which columns hold id, path (image), label, split, domain, where their names differ"`
	Comma   string              `yaml:"separator" recipe:"-" doc:"of a CSV: the separator; a tab for .tsv, else a comma"`
	Classes []string            `yaml:"classes" recipe:"-" doc:"of a Parquet, tar or IDX: names of numeric labels, counted from 0"`
	Domain  string              `yaml:"domain" recipe:"-" doc:"the domain of all its rows; it becomes part of their ids"`
	Label   string              `yaml:"label" recipe:"-" doc:"the label of all its rows"`
	Split   string              `yaml:"split" recipe:"-" enum:"train,val,test" doc:"the split of all its rows"`
	Only    map[string][]string `yaml:"only" recipe:"-" doc:"keep the rows whose column has one of these values: {label: [cat, dog]}"`
	Limit   int                 `yaml:"limit" recipe:"-" min:"0" doc:"maximum number of rows, selected by a hash of their ids; 0 keeps all"`
	Render  *Render             `yaml:"render" recipe:"-" doc:"change how its images look, to make a domain of its own for measurements: sketch, thermal, invert, or a mapping of effects and their strengths"`
	Limits  Limits              `yaml:"limits" recipe:"-" doc:"limits on the resources for listing it; raise them for trusted data that exceeds the defaults"`

	content dataset.Content // of its files
}

// Limits are those of [dataset.Limits].
type Limits struct {
	Memory   params.Bytes `yaml:"memory" recipe:"-" doc:"bytes that the listing of one file may hold, such as 4GB; if not given 256 MB and 64 times its size"`
	Unpacked params.Bytes `yaml:"unpacked" recipe:"-" doc:"bytes that one file may unpack to; if not given 512 MB and 64 times its size"`
	Rows     int64        `yaml:"rows" recipe:"-" min:"0" doc:"rows of one file, or files of one folder; if not given 20 million"`
	Columns  int          `yaml:"columns" recipe:"-" min:"0" doc:"columns of a table; if not given 16,384"`
}

func (l Limits) of() dataset.Limits {
	return dataset.Limits{Memory: int64(l.Memory), Unpacked: int64(l.Unpacked), Rows: l.Rows, Columns: l.Columns}
}

// IDX names the files of a data set like MNIST.
type IDX struct {
	Images string `yaml:"images" required:"true" doc:"the images"`
	Labels string `yaml:"labels" doc:"the labels"`
}

// Sources is one source or a list of them.
type Sources []Source

// DecodeParam implements params.Decoder: a single source needs no brackets.
func (s *Sources) DecodeParam(d *params.Decoding, node *yaml.Node) {
	var list []Source
	d.Into(node, &list)
	*s = list
}

// parts turns the sources into those of package dataset, with paths from dir.
func (s Sources) parts(dir string) []dataset.Part {
	out := make([]dataset.Part, len(s))
	for i, one := range s {
		out[i] = dataset.Part{
			Source: one.open(dir), Domain: one.Domain, Label: one.Label, Split: one.Split, Only: one.Only, Limit: one.Limit,
			Look: one.Render.look().String(),
		}
	}
	return out
}

// describe says, for messages, where the pictures should have been.
func (s Sources) describe(dir string) string {
	var out []string
	for _, one := range s {
		places := slices.Concat([]string{one.Folder, one.CSV}, one.Parquet, one.Tar)
		if one.IDX != nil {
			places = append(places, one.IDX.Images)
		}
		for _, place := range places {
			if place != "" {
				out = append(out, within(dir, place))
			}
		}
		if one.Builtin != "" {
			out = append(out, "the set "+one.Builtin)
		}
		if len(one.Only) > 0 {
			out[len(out)-1] += " that `only` keeps"
		}
	}
	return strings.Join(out, ", ")
}

// within returns a path as seen from a folder.
func within(dir, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

func (s Source) open(dir string) dataset.Source {
	at := func(path string) string { return within(dir, path) }
	all := func(paths []string) []string {
		out := make([]string, len(paths))
		for i, p := range paths {
			out[i] = at(p)
		}
		return out
	}
	limits := s.Limits.of()
	switch {
	case s.Folder != "":
		return dataset.Folder{Path: at(s.Folder), Layout: s.Layout, Limits: limits, Content: s.content}
	case s.CSV != "":
		separator, _ := utf8.DecodeRuneInString(s.Comma)
		if s.Comma == "" {
			separator = 0
		}
		return dataset.CSV{Path: at(s.CSV), Root: at(s.Root), Separator: separator, Columns: s.Columns, Limits: limits}
	case len(s.Parquet) > 0:
		return dataset.Parquet{Patterns: all(s.Parquet), Columns: s.Columns, Classes: s.Classes, Limits: limits}
	case len(s.Tar) > 0:
		return dataset.Tar{Patterns: all(s.Tar), Classes: s.Classes, Limits: limits}
	case s.IDX != nil:
		return dataset.IDX{Images: at(s.IDX.Images), Labels: at(s.IDX.Labels), Classes: s.Classes, Limits: limits}
	case s.content == dataset.Sounds:
		return dataset.Drums{}
	default:
		return dataset.Emoji{}
	}
}

// check refuses sources that are none or several, and options of another kind
// of source.
func (s Source) check(path string) []error {
	kinds := map[string]bool{
		"folder": s.Folder != "", "csv": s.CSV != "", "parquet": len(s.Parquet) > 0,
		"tar": len(s.Tar) > 0, "idx": s.IDX != nil, "builtin": s.Builtin != "",
	}
	var given []string
	for _, kind := range []string{"folder", "csv", "parquet", "tar", "idx", "builtin"} {
		if kinds[kind] {
			given = append(given, kind)
		}
	}
	hint, builtin := "one of folder, csv, parquet, tar, idx, builtin", "emoji"
	if s.content == dataset.Sounds {
		hint, builtin = "one of folder, csv, builtin", "drums"
	}
	var errs []error
	switch {
	case len(given) == 0:
		return []error{pipeline.ParamErrorHint(path, hint, "it is not said where the %s are", s.content.Many())}
	case len(given) > 1:
		return []error{pipeline.ParamErrorHint(path, "make it a list of sources", "%s are given for one source", strings.Join(given, " and "))}
	case s.Builtin != "" && s.Builtin != builtin:
		errs = append(errs, pipeline.ParamErrorHint(path+".builtin", builtin, "there is no built-in set %q", s.Builtin))
	}
	options := []struct {
		name  string
		set   bool
		kinds []string
	}{
		{"layout", s.Layout != "", []string{"folder"}},
		{"root", s.Root != "", []string{"csv"}},
		{"separator", s.Comma != "", []string{"csv"}},
		{"columns", len(s.Columns) > 0, []string{"csv", "parquet"}},
		{"classes", len(s.Classes) > 0, []string{"parquet", "tar", "idx"}},
	}
	for _, o := range options {
		if o.set && !slices.Contains(o.kinds, given[0]) {
			errs = append(errs, pipeline.ParamErrorHint(path+"."+o.name, "it is for "+strings.Join(o.kinds, ", "), "a %s has no %s", given[0], o.name))
		}
	}
	meanings := []string{record.ID, "path", record.Image, record.Label, record.Split, record.Domain}
	for _, meaning := range slices.Sorted(maps.Keys(s.Columns)) {
		if !slices.Contains(meanings, meaning) {
			errs = append(errs, pipeline.ParamErrorHint(path+".columns."+meaning, params.HintForKey(meaning, meanings), "columns of a source are known by what they mean, and %q is no meaning", meaning))
		}
	}
	errs = append(errs, s.Render.check(path+".render"))
	if utf8.RuneCountInString(s.Comma) > 1 {
		errs = append(errs, pipeline.ParamErrorHint(path+".separator", `such as ";"`, "expected one character, found %q", s.Comma))
	}
	return errs
}

func (s Sources) check() (errs []error) {
	if len(s) == 0 {
		return []error{pipeline.ParamErrorHint("source", "such as {folder: data/flowers}", "there are no sources")}
	}
	for i, one := range s {
		path := sourcePath(i, len(s))
		errs = append(errs, one.check(path)...)
	}
	return errs
}
