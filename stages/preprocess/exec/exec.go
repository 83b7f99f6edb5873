package exec

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/tlpipe/tlpipe/internal/digest"
	"github.com/tlpipe/tlpipe/internal/program"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Params are the parameters of the stage.
type Params struct {
	Command    []string        `yaml:"command" required:"true" doc:"the program and its arguments; it runs in the folder of the pipeline file, without a shell"`
	Mode       string          `yaml:"mode" enum:"rows,table" doc:"rows: each row is answered by itself, in chunks that are cached separately; table: the program gets all rows at once and gives any rows"`
	Reads      []string        `yaml:"reads" doc:"the columns that the program gets; in mode rows they decide when a row is computed again, and are needed; in mode table [] stands for all"`
	Makes      map[string]Type `yaml:"makes" required:"true" doc:"the columns that the program gives, with their types: bool, int8 to int64, uint8 to uint64, float16, float32, float64, utf8, binary, list<TYPE>, or TYPE[shape] for a tensor"`
	Drops      []string        `yaml:"drops" doc:"columns of the input that the result does not have, in mode rows; in mode table it has only what the program gives"`
	Parameters Values          `yaml:"parameters" doc:"any values, which the program finds as JSON in the environment variable TLPIPE_PARAMETERS"`
	Files      []string        `yaml:"files" recipe:"-" doc:"files whose content decides the result, such as the script and its weights: if one changes, all is computed again"`
	Version    string          `yaml:"version" doc:"any text; change it when the program's result changes for a reason that files do not show"`
	OnCrash    string          `yaml:"on_crash" enum:"fail,reject" doc:"in mode rows, what becomes of rows on which the program crashes or hangs: fail the stage, or find them by asking row by row and reject them"`
	Timeout    time.Duration   `yaml:"timeout" recipe:"-" doc:"how long the program may neither read nor write until it counts as hung and is killed; 0 for ever"`
	Processes  int             `yaml:"processes" min:"0" recipe:"-" doc:"how many processes run at once in mode rows, at most; 0: one a worker (--jobs)"`
}

// Kind declares the stage.
func Kind() pipeline.Kind {
	return pipeline.Define(pipeline.Kind{
		Name:    "exec",
		Summary: "run a program of your own, in any language, on rows or on a whole table",
		Doc: "Starts the program and sends tables to its standard input as Arrow IPC streams, one after the other; for each the program " +
			"writes one to its standard output. In mode rows the answer has the declared columns and as many rows in the same order, or " +
			"a column `tlpipe.row` that tells which row of the question each belongs to; a text in the column `tlpipe.reject` rejects a row. " +
			"All other columns of the input are kept. In mode table the answer is the result. Recomputed is what the recipe says: " +
			"command line, parameters, columns, the content of `files`, `version`. docs/exec.md has the protocol and examples in Python " +
			"and Go.",
		Example: `sharpness:
  uses: exec
  from: images
  with:
    command: [python3, sharpness.py]
    files: [sharpness.py]
    reads: [image]
    makes: {sharpness: float32}
`,
		Version: 1,
		Inputs: []pipeline.Port{{Name: "data", Kind: pipeline.Rows, Also: []pipeline.PortKind{
			pipeline.Images, pipeline.Features, pipeline.Text, pipeline.Predictions, pipeline.Metrics}, Doc: "the rows that the program gets"}},
		Outputs: []pipeline.Port{{Name: "rows", Kind: pipeline.Rows, Doc: "the same rows with the columns that the program makes, or what it gives as a whole; taken wherever images, features or predictions are"}},
	}, Params{Mode: "rows", OnCrash: "fail", Timeout: 10 * time.Minute, Parameters: "{}"}, build)
}

// stage is the kind with its parameters filled in; rows and table are its two forms.
type stage struct {
	Params
	fields []arrow.Field // of what is made, by name
	dir    string
	traits pipeline.Traits // of what is made
}

func build(p Params) (pipeline.Stage, error) {
	s := &stage{Params: p}
	var errs []error
	wrong := func(path, hint, format string, args ...any) {
		errs = append(errs, pipeline.ParamErrorHint(path, hint, format, args...))
	}
	if len(p.Command) == 0 || p.Command[0] == "" {
		wrong("command", "such as [python3, script.py]", "names no program")
	}
	for _, name := range slices.Sorted(maps.Keys(p.Makes)) {
		f, err := p.Makes[name].Field(name)
		if err != nil {
			wrong("makes", typeHint, "%s: %v", name, err)
		}
		if name == "" || strings.HasPrefix(name, "tlpipe.") {
			wrong("makes", "", "no column can be called %q", name)
		}
		if p.Mode == "rows" && name == record.ID {
			wrong("makes", "give it another name", "the column id tells rows apart, and stays as it is")
		}
		s.fields = append(s.fields, f)
	}
	if len(p.Makes) == 0 {
		wrong("makes", "such as {score: float32}", "declares no column")
	}
	if p.Mode == "rows" {
		if len(p.Reads) == 0 {
			wrong("reads", "such as [image]", "is needed in mode rows")
		}
		if slices.Contains(p.Drops, record.ID) {
			wrong("drops", "", "the column id tells rows apart, and stays")
		}
	} else if len(p.Drops) > 0 {
		wrong("drops", "leave it out", "in mode table the result has only what the program gives")
	}
	if p.Timeout < 0 {
		wrong("timeout", "", "is negative")
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if p.Mode == "table" {
		return &table{s}, nil
	}
	return &rows{s}, nil
}

// Locate implements pipeline.Located.
func (s *stage) Locate(dir string) { s.dir = dir }

func (s *stage) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(s.dir, p)
}

// Probe implements pipeline.Probing: program and files are there.
func (s *stage) Probe() error {
	var errs []error
	for i, name := range s.Files {
		if info, err := os.Stat(s.path(name)); err != nil || info.IsDir() {
			errs = append(errs, pipeline.ParamErrorHint(fmt.Sprintf("files[%d]", i), "relative paths start at the folder of the pipeline file", "there is no file %s", name))
		}
	}
	if name := s.Command[0]; strings.ContainsRune(name, '/') {
		if _, err := os.Stat(s.path(name)); err != nil {
			errs = append(errs, pipeline.ParamErrorHint("command", "relative paths start at the folder of the pipeline file", "there is no program %s", name))
		}
	} else if _, err := exec.LookPath(name); err != nil {
		errs = append(errs, pipeline.ParamErrorHint("command", "install it, or write its path", "there is no program %s in PATH", name))
	}
	return errors.Join(errs...)
}

// Check implements pipeline.Stage. What a program makes of pixels keeps their preparation only if it has their shape;
// features that it makes are known by what made them.
func (s *stage) Check(inputs map[string][]pipeline.Traits) (map[string]pipeline.Traits, error) {
	out := pipeline.Traits{}
	for _, traits := range inputs["data"] {
		maps.Copy(out, traits)
	}
	if _, makes := s.Makes[record.Target]; makes || s.Mode == "table" {
		delete(out, record.TaskKey)
	}
	if at := slices.IndexFunc(s.fields, func(f arrow.Field) bool { return f.Name == record.Image }); at >= 0 {
		shape, _, err := record.TensorShape(s.fields[at])
		if err != nil {
			return nil, pipeline.ParamErrorHint("makes", "such as uint8[224,224,3]", "image: %v", err)
		}
		if prepared, ok := out[record.PreprocessingKey]; ok {
			p, err := record.ParsePreprocessing(prepared)
			if err != nil {
				return nil, err
			}
			if !slices.Equal(shape, []int{p.Height, p.Width, 3}) {
				return nil, pipeline.ParamError("makes", "image has the shape %v, and that of the input is %v: what follows could not know how it is prepared", shape, []int{p.Height, p.Width, 3})
			}
		}
	}
	if _, makes := s.Makes[record.Feature]; makes {
		made, err := s.extraction()
		if err != nil {
			return nil, err
		}
		out[record.ExtractionKey] = made.Encode()
	}
	s.traits = out
	return map[string]pipeline.Traits{"rows": out}, nil
}

// extraction names what made the features, so that models of them meet no others.
func (s *stage) extraction() (record.Extraction, error) {
	identity, err := s.Identity()
	if err != nil {
		return record.Extraction{}, err
	}
	text, err := json.Marshal([]any{s.Command, s.Reads, s.Makes, s.Parameters, s.Version, identity})
	if err != nil {
		return record.Extraction{}, err
	}
	sum := sha256.Sum256(text)
	return record.Extraction{Backbone: "exec", Weights: s.Version, Digest: hex.EncodeToString(sum[:]), Layer: record.Feature}, nil
}

// Identity implements pipeline.Identified: the files by what is in them.
func (s *stage) Identity() (map[string]string, error) {
	out := map[string]string{}
	for i, name := range s.Files {
		sum, err := digest.File(s.path(name))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, pipeline.ParamErrorHint(fmt.Sprintf("files[%d]", i), "relative paths start at the folder of the pipeline file", "there is no file %s", name)
		}
		if err != nil {
			return nil, err
		}
		out["file."+name] = sum
	}
	return out, nil
}

// command is what is run.
func (s *stage) command(threads int) program.Command {
	args := slices.Clone(s.Command)
	if strings.ContainsRune(args[0], '/') {
		args[0] = s.path(args[0])
	}
	dir := s.dir
	if dir == "" {
		dir = "."
	}
	return program.Command{Args: args, Dir: dir, Silence: s.Timeout, Environment: []string{
		"TLPIPE_PROTOCOL=1",
		"TLPIPE_MODE=" + s.Mode,
		"TLPIPE_PARAMETERS=" + string(s.Parameters),
		fmt.Sprintf("TLPIPE_THREADS=%d", threads),
		"PYTHONUNBUFFERED=1", // what it prints before it crashes is seen
	}}
}

// schema is that of what is made.
func (s *stage) schema() *arrow.Schema {
	metadata := map[string]string{}
	if made, ok := s.Makes[record.Feature]; ok && made != "" {
		metadata[record.ExtractionKey] = s.traits[record.ExtractionKey]
	}
	if prepared, ok := s.traits[record.PreprocessingKey]; ok && s.Mode == "table" {
		metadata[record.PreprocessingKey] = prepared
	}
	m := arrow.MetadataFrom(metadata)
	return arrow.NewSchema(s.fields, &m)
}

// patience is how long a program may take to end once its input has ended.
const patience = 5 * time.Second

// column finds a column of an answer; nil if there is none.
func column(rec arrow.Record, name string) arrow.Array {
	at := rec.Schema().FieldIndices(name)
	if len(at) != 1 {
		return nil
	}
	return rec.Column(at[0])
}

// conformed gives the columns declared, and says what is wrong with them.
func (s *stage) conformed(rec arrow.Record, reserved ...string) ([]arrow.Array, error) {
	var out []arrow.Array
	fail := func(err error) ([]arrow.Array, error) {
		for _, c := range out {
			c.Release()
		}
		return nil, err
	}
	for _, f := range s.fields {
		has := column(rec, f.Name)
		if has == nil {
			return fail(fmt.Errorf("gave no column %q, which is declared; its columns: %s", f.Name, strings.Join(record.ColumnNames(rec.Schema()), ", ")))
		}
		c, err := conform(has, f)
		if err != nil {
			return fail(fmt.Errorf("gave a wrong table: %w", err))
		}
		out = append(out, c)
	}
	for _, name := range record.ColumnNames(rec.Schema()) {
		if _, declared := s.Makes[name]; !declared && !slices.Contains(reserved, name) {
			return fail(fmt.Errorf("gave a column %q, which is not declared in makes", name))
		}
	}
	return out, nil
}
