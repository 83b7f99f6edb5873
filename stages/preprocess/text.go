package preprocess

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/apache/arrow/go/v17/arrow"
	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/dataset"
	"github.com/tlpipe/tlpipe/internal/document"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/textinput"
	"github.com/tlpipe/tlpipe/internal/words"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// TextParams are the parameters of the kind text.
type TextParams struct {
	Source   TextSources  `yaml:"source" recipe:"-" required:"true" doc:"where the texts come from: one source, or a list"`
	Target   *Target      `yaml:"target" recipe:"-" doc:"what to predict, if not the label: a column with a class, {classes: tags, separator: \";\"}, or {numbers: [age]}"`
	Split    Split        `yaml:"split" recipe:"-" doc:"how rows are split into train, val and test"`
	For      string       `yaml:"for" recipe:"-" doc:"cut texts into the tokens of an encoder: the folder with its weights and tokenizer, as on Hugging Face, or a tokenizer file"`
	Words    *Words       `yaml:"words" recipe:"-" doc:"cut texts into words instead: builtin or a file of word vectors takes the words that have a vector there; {most: 20000} takes the most frequent words of the training rows"`
	Length   int          `yaml:"length" min:"2" max:"65536" doc:"maximum number of tokens per text; longer texts are truncated. Default: 256, or the maximum of the encoder if that is lower"`
	Truncate string       `yaml:"truncate" enum:"head,tail,middle,window" doc:"which tokens of longer texts are kept: the first, the last, or half of them from each end; window keeps all, up to 64 windows of length tokens, for the stage encode, which pools their vectors"`
	MaxBytes params.Bytes `yaml:"max_bytes" doc:"reject texts of more bytes than this, such as 1MB"`
}

// Words are those that a text is cut into.
type Words struct {
	Vectors string `yaml:"vectors" recipe:"-" doc:"the words that have a vector: builtin, or a file of word vectors; words: FILE means the same"`

	Most  int `yaml:"most" recipe:"-" min:"1" max:"4000000" doc:"size of the vocabulary: the most frequent words of the training rows"`
	Least int `yaml:"least" recipe:"-" min:"1" doc:"leave out words that occur in fewer training rows than this"`
}

// DecodeParam implements params.Decoder: the name of word vectors, or a mapping, in which what is not said is as usual.
func (w *Words) DecodeParam(d *params.Decoding, node *yaml.Node) {
	if node.Kind == yaml.ScalarNode {
		*w = Words{Vectors: node.Value}
		return
	}
	type plain Words
	fresh := plain{}
	d.Into(node, &fresh)
	if *w = Words(fresh); w.Vectors != "" {
		if w.Least > 0 {
			d.At("least", func() {
				d.Errorf(params.Locate(node, "least"), "leave it out", "the word vectors determine the vocabulary")
			})
		}
		return
	}
	w.Most, w.Least = cmp.Or(w.Most, 20000), cmp.Or(w.Least, 2)
}

// ParamSchema implements params.Schemer.
func (Words) ParamSchema(inner map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{map[string]any{"type": "string"}, inner}}
}

// TextSource is a source of texts as YAML spells it: exactly one of File, Folder, Builtin and Prompts.
type TextSource struct {
	Builtin   string              `yaml:"builtin" recipe:"-" enum:"mails,emoji_names" doc:"built into tlpipe. mails: 2,855 mails labelled ham and spam; its column part is test, few (30 of each class) or more. emoji_names: the names of the 168 objects that the pictures of builtin: emoji show, with the column object"`
	File      []string            `yaml:"file" recipe:"-" doc:"tables with one text per row: .csv, .tsv, .jsonl, .json, .parquet or .arrow; files, or patterns such as data/train-*.parquet"`
	Folder    string              `yaml:"folder" recipe:"-" doc:"a folder with one sub-folder of .txt, .eml or .html files per class, or with sub-folders train, val and test that contain such sub-folders"`
	Prompts   *Prompts            `yaml:"prompts" recipe:"-" doc:"sentences about classes, for the stage zero_shot: {classes: [cat, dog], templates: imagenet}"`
	Layout    string              `yaml:"layout" recipe:"-" enum:"auto,classes,splits" doc:"of a folder: whether its sub-folders are classes or splits"`
	As        string              `yaml:"as" recipe:"-" enum:"text,mail,html" doc:"of a folder: the format of all its files, whatever their extensions"`
	Columns   map[string]string   `yaml:"columns" recipe:"-" doc:"of a table: the columns that hold id, text, label, split and domain, where their names differ"`
	Separator string              `yaml:"separator" recipe:"-" doc:"of a .csv or .tsv: the separator; a tab for .tsv, else a comma"`
	Classes   []string            `yaml:"classes" recipe:"-" doc:"of a table: names of numeric labels, counted from 0"`
	Domain    string              `yaml:"domain" recipe:"-" doc:"the domain of all its rows; it becomes part of their ids"`
	Label     string              `yaml:"label" recipe:"-" doc:"the label of all its rows"`
	Split     string              `yaml:"split" recipe:"-" enum:"train,val,test" doc:"the split of all its rows"`
	Only      map[string][]string `yaml:"only" recipe:"-" doc:"keep the rows whose column has one of these values: {label: [spam, ham]}"`
	Limit     int                 `yaml:"limit" recipe:"-" min:"0" doc:"maximum number of rows, selected by a hash of their ids; 0 keeps all"`
	Limits    Limits              `yaml:"limits" recipe:"-" doc:"limits on the resources for listing it; raise them for trusted data that exceeds the defaults"`
}

// Words for texts that are built in.
const (
	builtinMails = "mails"
	builtinNames = "emoji_names"
)

// TextSources is one source or a list.
type TextSources []TextSource

// DecodeParam implements params.Decoder: a single source needs no brackets.
func (s *TextSources) DecodeParam(d *params.Decoding, node *yaml.Node) {
	var list []TextSource
	d.Into(node, &list)
	*s = list
}

// Text declares the kind text.
func Text() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "text",
		Summary: "read texts from tables, folders and mails, and cut them into tokens",
		Doc: "Lists one or several sources and splits the rows into train, val and test as preprocess does. It reads the subject and text " +
			"of mails and the text of web pages, and detects their encoding. `for: FOLDER` cuts texts into the tokens that an encoder takes, with " +
			"its special tokens; words cuts them into words. Texts longer than length are truncated, and the report shows how many were, and by " +
			"how much. Files that are not text, are empty or are too long are rejected with a reason.",
		Example: `texts:
  uses: text
  with:
    source: {file: reviews.csv, columns: {text: review, label: stars}}
    words: {most: 10000}
    length: 128
`,
		Version: 2,
		Outputs: []pipeline.Port{{Name: "text", Kind: pipeline.Text, Doc: "id, text, label, split, domain, tokens if for or words is set, target if one is set, and any other columns of the source"}},
	}, TextParams{Split: defaultSplit, Truncate: record.TruncateHead, MaxBytes: 1 << 20}, func(p TextParams) (pipeline.Stage, error) {
		if err := p.check(); err != nil {
			return nil, err
		}
		return &textStage{params: p}, nil
	})
}

func (p TextParams) check() error {
	var errs []error
	if len(p.Source) == 0 {
		errs = append(errs, pipeline.ParamErrorHint("source", "such as {file: reviews.csv}", "there are no sources"))
	}
	for i, s := range p.Source {
		path := sourcePath(i, len(p.Source))
		errs = append(errs, s.check(path)...)
	}
	if p.For != "" && p.Words != nil {
		errs = append(errs, pipeline.ParamErrorHint("words", "remove one of the two", "texts are cut either into the tokens of `for` or into words"))
	}
	if p.Length > 0 && p.For == "" && p.Words == nil {
		errs = append(errs, pipeline.ParamErrorHint("length", "set words or for", "texts are not cut into tokens"))
	}
	if p.Truncate == record.TruncateWindow && p.For == "" {
		errs = append(errs, pipeline.ParamErrorHint("truncate", "set `for` to the folder of the encoder", "windows are of an encoder's tokens"))
	}
	return errors.Join(append(errs, p.Split.check(), p.Target.check())...)
}

func (s TextSource) check(path string) (errs []error) {
	var given []string
	for _, kind := range []struct {
		name string
		set  bool
	}{{"file", len(s.File) > 0}, {"folder", s.Folder != ""}, {"builtin", s.Builtin != ""}, {"prompts", s.Prompts != nil}} {
		if kind.set {
			given = append(given, kind.name)
		}
	}
	switch len(given) {
	case 0:
		return []error{pipeline.ParamErrorHint(path, "one of file, folder, builtin, prompts", "the source of the texts is missing")}
	case 1:
	default:
		return []error{pipeline.ParamErrorHint(path, "make it a list of sources", "%s are given for one source", strings.Join(given, " and "))}
	}
	for _, o := range []struct {
		name string
		set  bool
		kind string
	}{
		{"layout", s.Layout != "", "folder"}, {"as", s.As != "", "folder"}, {"columns", len(s.Columns) > 0, "file"},
		{"separator", s.Separator != "", "file"}, {"classes", len(s.Classes) > 0, "file"},
	} {
		if o.set && given[0] != o.kind {
			errs = append(errs, pipeline.ParamErrorHint(path+"."+o.name, "it applies to a "+o.kind, "a %s has no %s", given[0], o.name))
		}
	}
	for _, file := range s.File {
		if ending := strings.ToLower(filepath.Ext(file)); !slices.Contains(dataset.TextEndings(), ending) {
			errs = append(errs, pipeline.ParamErrorHint(path+".file", strings.Join(dataset.TextEndings(), ", "), "the extension of %q is not supported", file))
		}
	}
	meanings := []string{record.ID, record.Text, record.Label, record.Split, record.Domain}
	for _, meaning := range slices.Sorted(maps.Keys(s.Columns)) {
		if !slices.Contains(meanings, meaning) {
			errs = append(errs, pipeline.ParamErrorHint(path+".columns."+meaning, params.HintForKey(meaning, meanings), "%q is not a column that a source of texts can name", meaning))
		}
	}
	if utf8.RuneCountInString(s.Separator) > 1 {
		errs = append(errs, pipeline.ParamErrorHint(path+".separator", `such as ";"`, "expected one character, found %q", s.Separator))
	}
	return errs
}

func (s TextSource) open(dir string) dataset.Source {
	limits := s.Limits.of()
	if s.Folder != "" {
		return dataset.Folder{Path: within(dir, s.Folder), Layout: s.Layout, Limits: limits, Content: dataset.Texts, Format: document.Format(s.As)}
	}
	if s.Prompts != nil {
		return s.Prompts.source()
	}
	switch s.Builtin {
	case builtinMails:
		return dataset.Mails{}
	case builtinNames:
		return dataset.EmojiNames{}
	}
	table := dataset.TextTable{Columns: s.Columns, Classes: s.Classes, Limits: limits}
	if s.Separator != "" {
		table.Separator, _ = utf8.DecodeRuneInString(s.Separator)
	}
	for _, file := range s.File {
		table.Patterns = append(table.Patterns, within(dir, file))
	}
	return table
}

func (s TextSource) probe(path, dir string) error {
	var errs []error
	if s.Folder != "" {
		errs = append(errs, probeOne(path+".folder", dir, s.Folder, true))
	}
	for i, pattern := range s.File {
		at := path + ".file"
		if len(s.File) > 1 {
			at = fmt.Sprintf("%s[%d]", at, i)
		}
		if err := dataset.Matches(within(dir, pattern)); err != nil {
			errs = append(errs, pipeline.ParamErrorHint(at, nearby(dir, pattern), "%v", err))
		}
	}
	return errors.Join(errs...)
}

// textStage is the kind with its parameters filled in.
type textStage struct {
	params TextParams
	dir    string

	mu         sync.Mutex
	tokeniser  *textinput.Tokeniser
	vocabulary *words.Vocabulary // of the training rows, once they were listed
}

// Locate implements pipeline.Located.
func (s *textStage) Locate(dir string) { s.dir = dir }

// Probe implements pipeline.Probing.
func (s *textStage) Probe() error {
	var errs []error
	for i, source := range s.params.Source {
		path := sourcePath(i, len(s.params.Source))
		errs = append(errs, source.probe(path, s.dir))
	}
	return errors.Join(errs...)
}

// Check implements pipeline.Stage.
func (s *textStage) Check(map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	traits := pipeline.Traits{}
	t, err := s.tokens()
	if err != nil {
		return nil, err
	}
	if t != nil {
		traits[record.TokensKey] = t.Made.Encode()
	}
	return map[string]pipeline.Traits{"text": traits}, nil
}

// Identity implements pipeline.Identified: how texts are cut, however that was asked for.
func (s *textStage) Identity() (map[string]string, error) {
	t, err := s.tokens()
	if err != nil || t == nil {
		return nil, err
	}
	return map[string]string{"tokens": t.Made.Encode()}, nil
}

// Estimate implements pipeline.Estimator.
func (s *textStage) Estimate(map[string][]pipeline.Input) (pipeline.Resources, error) {
	return pipeline.Resources{Memory: 64 << 20, PerThread: 4 * int64(s.params.MaxBytes), PerRow: 64 << 10}, nil
}

// Columns implements pipeline.RowWise: texts come of a file's bytes and how they are read; tokens of the vocabulary too.
func (s *textStage) Columns(in *arrow.Schema) (pipeline.Columns, error) {
	read := []string{dataset.ContentColumn}
	if in.HasField(dataset.LookColumn) {
		read = append(read, dataset.LookColumn)
	}
	return pipeline.Columns{Reads: read, Drops: read}, nil
}

func (s *textStage) parts() []dataset.Part {
	out := make([]dataset.Part, len(s.params.Source))
	for i, one := range s.params.Source {
		out[i] = dataset.Part{Source: one.open(s.dir), Domain: one.Domain, Label: one.Label, Split: one.Split, Only: one.Only, Limit: one.Limit}
	}
	return out
}

// List implements pipeline.Source.
func (s *textStage) List(ctx context.Context, env *pipeline.Env) (pipeline.Listing, error) {
	table, err := dataset.List(ctx, env.Files, max(env.Threads, listers), s.parts())
	if err != nil {
		return pipeline.Listing{}, err
	}
	table.Content = dataset.Texts
	if len(table.All)+len(table.Rejects) == 0 {
		for _, note := range table.Notes {
			env.Log("%s", note)
		}
		return pipeline.Listing{}, errors.New("there are no texts in the sources")
	}
	overview, err := divideListing(table, s.params.Target, s.params.Split)
	if err != nil {
		return pipeline.Listing{}, err
	}
	if s.ofRows() {
		if err := s.count(ctx, table); err != nil {
			return pipeline.Listing{}, fmt.Errorf("find the words of the training rows: %w", err)
		}
	}
	table.Prepared = strings.TrimSpace(table.Prepared + " " + s.formats(table))
	overview.Notes = append(overview.Notes, s.params.Split.notes(table)...)
	return pipeline.Listing{Rows: table.Record(), Rejects: table.Rejects, Overview: overview}, nil
}

// formatsMark is what stands in a listing before the formats of the training files.
const formatsMark = "formats:"

// formats tells which formats the training files have beside plain text, for the listing; "" if none. The built-in mails were read
// from mails.
func (s *textStage) formats(table *dataset.Table) string {
	var found []string
	for i, row := range table.All {
		form := row.Form
		if s.params.Source[table.Part(i)].Builtin == builtinMails {
			form = string(document.Mail)
		}
		if row.Split == record.Train && form != "" && form != string(document.Plain) && !slices.Contains(found, form) {
			found = append(found, form)
		}
	}
	if len(found) == 0 {
		return ""
	}
	slices.Sort(found)
	return formatsMark + strings.Join(found, ",")
}

// ofRows tells whether the training rows decide the vocabulary.
func (s *textStage) ofRows() bool { return s.params.Words != nil && s.params.Words.Vectors == "" }

// count makes the vocabulary of the training rows.
func (s *textStage) count(ctx context.Context, table *dataset.Table) (err error) {
	set, err := dataset.Open(s.parts())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	texts := func(yield func(string) bool) {
		for i, row := range table.All {
			if row.Split != record.Train {
				continue
			}
			if err = ctx.Err(); err != nil {
				return
			}
			var data []byte
			if data, err = set.Read(ctx, table.Part(i), row.At, row.Digest); err != nil {
				if errors.Is(err, dataset.ErrTooLarge) {
					err = nil
					continue
				}
				return
			}
			if said, reason := s.said(data, row.Form); reason == "" && !yield(said) {
				return
			}
		}
	}
	vocabulary := words.Frequent(texts, s.params.Words.Most, s.params.Words.Least)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.vocabulary = vocabulary
	table.Prepared = "vocabulary:" + vocabulary.Digest()
	return nil
}

// said makes text of the bytes of a row; reason says why it is none.
func (s *textStage) said(data []byte, form string) (text, reason string) {
	if len(data) > mostMail*int(s.params.MaxBytes) || form != string(document.Mail) && len(data) > int(s.params.MaxBytes) {
		return "", fmt.Sprintf("it has %d bytes, more than the %d of max_bytes", len(data), int(s.params.MaxBytes))
	}
	format := document.Format(form)
	if form == "" {
		format = document.Plain
	}
	text, err := document.Read(data, format)
	switch {
	case err != nil:
		return "", err.Error()
	case text == "":
		return "", "there is no text"
	case len(text) > int(s.params.MaxBytes):
		return "", fmt.Sprintf("its text has %d bytes, more than the %d of max_bytes", len(text), int(s.params.MaxBytes))
	}
	return text, ""
}

// mostMail is how many times as long as its text a mail may be: attachments are not read.
const mostMail = 32

// Open implements pipeline.RowWise.
func (s *textStage) Open(ctx context.Context, env *pipeline.Env, _ map[string][]pipeline.Input) (pipeline.Mapper, error) {
	tokens, err := s.tokens()
	if err != nil {
		return nil, err
	}
	if s.ofRows() {
		s.mu.Lock()
		vocabulary := s.vocabulary
		s.mu.Unlock()
		if vocabulary == nil { // listed by another process
			if _, err := s.List(ctx, env); err != nil {
				return nil, err
			}
			vocabulary = s.vocabulary
		}
		tokens = tokens.With(vocabulary)
	}
	set, err := dataset.Open(s.parts())
	if err != nil {
		return nil, fmt.Errorf("open the sources: %w", err)
	}
	return &textMapper{stage: s, set: set, threads: max(env.Threads, 1), tokens: tokens}, nil
}
