package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
)

// showModelFile shows a model in a safetensors file.
func (p *program) showModelFile(path string) error {
	c, err := classifier.ReadTasksFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return usage("there is no file %s", path)
	}
	if err != nil {
		return err
	}
	all, _ := c.Network.ParameterCount()
	fmt.Fprintf(p.out, "%s (model)\n%-11s%s\n", console.Line(path), "parameters", console.Count(all))
	return printModel(p.out, c)
}

// showModel shows a model in an artifact. One that cannot be read is told of.
func (p *program) showModel(ctx context.Context, a *named) error {
	c, err := classifier.ReadTasks(ctx, a)
	if err != nil {
		_, err = fmt.Fprintf(p.out, "\n%s\n", console.Line(err.Error()))
		return err
	}
	fmt.Fprintln(p.out)
	return printModel(p.out, c)
}

// isModel tells whether a table is a model, and not tensors alone.
func isModel(schema *arrow.Schema) bool {
	architecture, _ := schema.Metadata().GetValue(record.ArchitectureKey)
	return architecture != ""
}

// digestWidth is how much of a digest is shown, in letters.
const digestWidth = 12

// printModel tells in words what a model takes and gives, where it comes from, and why it has its weights.
func printModel(out io.Writer, c *classifier.Classifier) error {
	d := c.Description
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-11s%s\n", name, console.Line(fmt.Sprintf(format, args...)))
	}
	for _, in := range d.Inputs {
		steps := in.Transforms
		if own, err := c.Transforms(); err == nil && len(steps) == 0 {
			steps = own
		}
		text := in.Name + ", " + sizeInWords(in.Shape, steps)
		if in.Column != "" {
			text += ", column " + in.Column + " of tables"
		}
		line("input", "%s", text)
		for i, step := range steps {
			line("", "%d. %s", i+1, step)
		}
		if len(steps.WithoutFeatures()) == 0 {
			line("", "it is not known how pictures were prepared or texts read: predict cannot run it on files")
		}
	}
	for _, h := range d.Heads {
		of := h.Name
		if h.Column != "" {
			of += " (column " + h.Column + ")"
		}
		line("head", "%s: %s", of, headInWords(h))
	}
	for _, o := range d.Origins {
		text := originInWords(o)
		if o.Role == record.RoleTeacher {
			text = "of a teacher: " + text
		}
		line("weights", "%s", text)
	}
	if q := d.Quantisation; q != nil {
		line("quantised", "%s", quantisationInWords(*q))
	}
	if s := d.Selection; s != nil {
		line("selection", "%s", selectionInWords(*s))
	}
	if r := d.Reference; r != nil {
		if sample, err := r.Sample(); err == nil {
			line("reference", "predictions for %s of split %s, to compare those for new rows with", console.Of(int64(len(sample)/r.Columns), "row"), r.Split)
		}
	}
	if r := d.Recipe; r != nil {
		line("recipe", "%s of %d fields: %s", console.Shorten(r.Digest, digestWidth), len(r.Fields), recipeInWords(*r))
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// sizeInWords is the size of an example that such steps make.
func sizeInWords(shape nn.Shape, steps record.Transforms) string {
	if shape.Fixed() {
		return timesInWords(shape) + " numbers an example"
	}
	for _, step := range steps {
		if cut, ok := step.(record.TokensStep); ok {
			return fmt.Sprintf("any number up to %d an example", cut.Length)
		}
	}
	return "any number an example"
}

// timesInWords writes a shape as "224×224×3".
func timesInWords(shape []int) string {
	parts := make([]string, len(shape))
	for i, n := range shape {
		parts[i] = strconv.Itoa(n)
	}
	return strings.Join(parts, "×")
}

// namesShown is how many names of classes or numbers are listed.
const namesShown = 12

func headInWords(h record.Head) string {
	names := h.Names()
	first := slices.Clone(names[:min(namesShown, len(names))])
	for i, name := range first {
		first[i] = console.Shorten(name, widestLabel)
	}
	shown := strings.Join(first, ", ")
	if len(names) > namesShown {
		shown += ", …"
	}
	switch h.Task {
	case record.MultiLabel:
		return fmt.Sprintf("any of %d classes: %s", len(names), shown)
	case record.Regression:
		return fmt.Sprintf("%s: %s", console.Of(int64(len(names)), "number"), shown)
	}
	return fmt.Sprintf("one of %d classes: %s", len(names), shown)
}

func originInWords(o record.Origin) string {
	text := o.Backbone
	if o.Variant != "" {
		text += " (" + o.Variant + ")"
	}
	if o.Digest == "" {
		return text + ", " + o.Weights + " weights"
	}
	text += fmt.Sprintf(", %s, licence %s, SHA-256 %s", o.Weights, cmp.Or(o.Licence, "not known"), console.Shorten(o.Digest, digestWidth))
	if o.Address != "" {
		text += ", " + o.Address
	}
	return text
}

func quantisationInWords(q record.Quantisation) string {
	if q.Weights != record.Int8Tensor {
		return fmt.Sprintf("weights rest as %s", q.Weights)
	}
	text := fmt.Sprintf("int8, ranges by %s", q.Method)
	if n := len(q.Float); n > 0 {
		text += fmt.Sprintf("; in float32: %s", strings.Join(q.Float[:min(n, namesShown)], ", "))
		if n > namesShown {
			text += ", …"
		}
	}
	return text
}

func selectionInWords(s record.Selection) string {
	of := fmt.Sprintf("epoch %d", s.Epoch)
	switch {
	case s.Tried > 0:
		of = s.Phase
		if s.Tried > 1 {
			of += fmt.Sprintf(" of %d tried", s.Tried)
		}
	case s.Epoch == 0:
		of = "what the training began with, which no epoch improved"
	case s.Phase != "":
		of += " (phase " + s.Phase + ")"
	}
	by, ok := map[string]string{
		record.ChosenByLoss: ", with the best validation loss", record.ChosenByAccuracy: ", with the best validation accuracy",
		record.ChosenByCross: ", by cross-validation", record.ChosenLast: ", the last", record.ChosenOnly: "",
	}[s.By]
	if !ok {
		by = ", by " + s.By
	}
	if s.By == record.ChosenLast && s.Epoch == 0 {
		by = ""
	}
	text := of + by
	if len(s.Metrics) > 0 {
		where := console.Of(int64(s.Rows), "row") + " of split " + s.Split
		if s.By == record.ChosenByCross {
			where = "folds of the training rows"
		}
		var measured []string
		for _, name := range slices.Sorted(maps.Keys(s.Metrics)) {
			measured = append(measured, fmt.Sprintf("%s %.4g", name, s.Metrics[name]))
		}
		text += fmt.Sprintf(": %s on %s", strings.Join(measured, ", "), where)
	}
	return text + "; learned from " + console.Of(int64(s.Trained), "row")
}

// recipeInWords tells the fields that say the most; --export and the table's metadata have them all.
func recipeInWords(r record.Recipe) string {
	var shown []string
	for _, f := range r.Fields {
		switch f.Name {
		case "stage", "version", "numerics", "seed":
			shown = append(shown, f.Name+" "+f.Value)
		}
	}
	return strings.Join(shown, ", ")
}
