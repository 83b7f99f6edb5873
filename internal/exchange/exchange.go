package exchange

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/deploy"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn/quantise"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Format is a sort of file.
type Format string

// The formats.
const (
	ONNX   Format = "onnx"   // the whole network, from pixels to probabilities
	TFLite Format = "tflite" // likewise, of one picture at a time
	Keras  Format = "keras"  // the whole network, as Keras 3 loads it
	Torch  Format = "torch"  // the weights alone, a state dict of PyTorch

	Safetensors Format = "safetensors" // the same state dict
)

// Precision is what the weights of a file rest as.
type Precision string

// The precisions.
const (
	Float32 Precision = "float32"
	Float16 Precision = "float16"
	Int8    Precision = "int8"
)

// format is how files of a format are written and checked.
type format struct {
	name       Format
	endings    []string // of files' names
	precisions []Precision
	write      func(w io.Writer, r Request) error
	check      func(path string, r Request, e *examples, pool *kernel.Pool) (*Check, error)
}

func formats() []format {
	return []format{
		{ONNX, []string{".onnx"}, []Precision{Float32, Float16, Int8}, writeONNX, checkONNX},
		{TFLite, []string{".tflite"}, []Precision{Float32, Float16, Int8}, writeTFLite, checkTFLite},
		{Keras, []string{".keras"}, []Precision{Float32, Float16}, writeKeras, checkKeras},
		{Torch, []string{".pt", ".pth"}, []Precision{Float32, Float16}, writeTorch, checkTorch},
		{Safetensors, []string{".safetensors"}, []Precision{Float32, Float16}, writeSafetensors, checkTorch},
	}
}

// Formats lists the names of the formats.
func Formats() []string {
	var names []string
	for _, f := range formats() {
		names = append(names, string(f.name))
	}
	return names
}

// Request is a file to be written.
type Request struct {
	Model     *deploy.Model
	Format    Format // "" for that of the file's name
	Precision Precision
	Scheme    *quantise.Scheme // of Int8
	Signed    bool             // of Int8 in ONNX: weights of int8, not of uint8 around 128
	Out       string           // path
	Version   string           // of the program
	Pictures  int              // or texts, or vectors, to check on; 0: the file is not checked
	Examples  string           // folder for these and what the model tells of them; "": none
	Threads   int
}

// Result tells of a file that was written.
type Result struct {
	Format Format
	Bytes  int64
	Check  *Check // nil: it was not checked
}

// Write writes the file, checks it, and puts it in its place.
func Write(r Request) (_ *Result, err error) {
	f, err := r.format()
	if err != nil {
		return nil, err
	}
	temp, err := os.CreateTemp(filepath.Dir(r.Out), "."+filepath.Base(r.Out)+".*")
	if err != nil {
		return nil, fmt.Errorf("export to %s: %w", r.Out, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temp.Name())
			err = fmt.Errorf("export to %s: %w", r.Out, err)
		}
	}()
	buffered := bufio.NewWriterSize(temp, 1<<20)
	err = f.write(buffered, r)
	if err == nil {
		err = buffered.Flush()
	}
	if err = errors.Join(err, temp.Close()); err != nil {
		return nil, err
	}
	info, err := os.Stat(temp.Name())
	if err != nil {
		return nil, err
	}
	out := &Result{Format: f.name, Bytes: info.Size()}
	if err := r.checkSize(info.Size()); err != nil {
		return nil, err
	}
	if err := r.hold(f, temp.Name(), out); err != nil {
		return nil, err
	}
	if err := os.Chmod(temp.Name(), 0o644); err != nil {
		return nil, err
	}
	return out, os.Rename(temp.Name(), r.Out)
}

// hold checks the file at a path, and writes examples.
func (r Request) hold(f format, path string, out *Result) error {
	if r.Pictures < 1 {
		return nil
	}
	pool := kernel.NewPool(max(r.Threads, 1))
	defer pool.Close()
	e, err := r.examples(pool)
	if err != nil {
		return err
	}
	if r.Examples != "" {
		if err := e.write(r.Examples, r.Model); err != nil {
			return err
		}
	}
	if f.check == nil {
		return nil
	}
	if out.Check, err = f.check(path, r, e, pool); err != nil {
		return fmt.Errorf("the file that was written does not hold: %w", err)
	}
	return nil
}

// format finds the one that is asked for, by name or by the ending of the file's.
func (r Request) format() (format, error) {
	var endings []string
	for _, f := range formats() {
		endings = append(endings, f.endings...)
		named := slices.ContainsFunc(f.endings, func(ending string) bool { return strings.HasSuffix(strings.ToLower(r.Out), ending) })
		if r.Format != f.name && (r.Format != "" || !named) {
			continue
		}
		if other := endingOf(r.Out); !named && other != "" {
			return format{}, &pipeline.UsageError{Message: fmt.Sprintf("--format %s, but the name %s ends as files of format %s do", f.name, r.Out, other)}
		}
		for _, p := range f.precisions {
			if p == r.Precision {
				return f, nil
			}
		}
		return format{}, &pipeline.UsageError{Message: fmt.Sprintf("%s files have no precision %q (known: %s)", f.name, r.Precision, joined(f.precisions))}
	}
	if r.Format == "" {
		return format{}, &pipeline.UsageError{Message: fmt.Sprintf("export to %s: the name must end in one of %s, or --format say what it is", r.Out, strings.Join(endings, ", "))}
	}
	return format{}, &pipeline.UsageError{Message: fmt.Sprintf("there is no format %q (known: %s)", r.Format, strings.Join(Formats(), ", "))}
}

// endingOf is the format whose files end as a name does; "" if there is none.
func endingOf(name string) Format {
	for _, f := range formats() {
		for _, ending := range f.endings {
			if strings.HasSuffix(strings.ToLower(name), ending) {
				return f.name
			}
		}
	}
	return ""
}

// Check tells whether a request can be carried out, before a model is read.
func (r Request) Check() error {
	_, err := r.format()
	return err
}

func joined(list []Precision) string {
	var names []string
	for _, p := range list {
		names = append(names, string(p))
	}
	return strings.Join(names, ", ")
}

// checkSize refuses a file that is larger than its weights in the precision, its operators and metadata.
func (r Request) checkSize(size int64) error {
	most := int64(1 << 20) // operators, names, metadata
	for _, l := range r.Model.Network.Layers() {
		for _, p := range r.Model.Network.LayerParameters(l) {
			each := int64(4)
			large := p.Shape.Size() >= 16
			switch {
			case r.Precision == Float16 && large:
				each = 2
			case r.Precision == Int8 && r.Scheme.Computes(l) && len(p.Shape) > 1:
				each = 1
			}
			most += each*int64(p.Shape.Size()) + int64(16*p.Shape[0]) // sizes of steps, zeros and biases by channel
		}
	}
	if t := r.Model.Tokens; t != nil {
		most += int64(4 * len(t.Vocabulary)) // which is packed, and as base64
	}
	if names := r.Model.Head.Names(); len(names) > 0 {
		most += int64(len(strings.Join(names, "")) * 8)
	}
	if size > most {
		return fmt.Errorf("it has %d bytes, where its weights in %s and all else need at most %d: something stayed in a larger type", size, r.Precision, most)
	}
	return nil
}
