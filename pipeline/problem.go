package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/secret"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Problem is something wrong in a pipeline's YAML, with the place to mend.
type Problem struct {
	File         string
	Line, Column int    // from 1; 0 if the place is not known
	Source       string // the line of YAML
	Message      string
	Hint         string
}

// Error gives file:line:col: message, the line with a mark under the place,
// and the hint.
func (p *Problem) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
	if p.Line == 0 {
		b.Reset()
		fmt.Fprintf(&b, "%s: %s", p.File, p.Message)
	}
	if p.Source != "" {
		gutter := fmt.Sprintf("%5d | ", p.Line)
		source, column := excerpt(p.Source, p.Column)
		fmt.Fprintf(&b, "\n%s%s", gutter, source)
		if column > 0 {
			fmt.Fprintf(&b, "\n%s%s^", strings.Repeat(" ", len(gutter)-2)+"| ", indent(source, column))
		}
	}
	if p.Hint != "" {
		fmt.Fprintf(&b, "\n        hint: %s", p.Hint)
	}
	return b.String()
}

// hide takes secrets out of what is shown.
func (p *Problem) hide(secrets *secret.Values) {
	p.Message, p.Hint = secrets.Hide(p.Message), secrets.Hide(p.Hint)
	if shown := secrets.Hide(p.Source); shown != p.Source {
		before := []rune(p.Source)[:min(max(p.Column-1, 0), len([]rune(p.Source)))]
		p.Source, p.Column = shown, p.Column+len([]rune(secrets.Hide(string(before))))-len(before)
	}
}

// excerpt is a line, or what is around the column of one that is very long.
func excerpt(line string, column int) (string, int) {
	const longest, before = 200, 60
	length := utf8.RuneCountInString(line)
	if length <= longest {
		return line, column
	}
	from := max(0, min(column-before, length-longest))
	begin, end, at := 0, len(line), 0
	for i := range line { // the line may have megabytes
		if at == from {
			begin = i
		}
		if at == from+longest {
			end = i
			break
		}
		at++
	}
	cut := line[begin:end]
	if from > 0 {
		_, first := utf8.DecodeRuneInString(cut)
		cut = "…" + cut[first:]
	}
	if from+longest < length {
		cut += "…"
	}
	return cut, max(column-from, 0)
}

// indent is white space as wide as the first column-1 characters of a line.
func indent(line string, column int) string {
	var b strings.Builder
	for i, r := range []rune(line) {
		if i >= column-1 {
			break
		}
		if r == '\t' {
			b.WriteRune('\t')
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// Problems is everything wrong in a pipeline, in the order of the file.
type Problems []*Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// reporter collects problems of one file.
type reporter struct {
	file     string
	lines    []string
	problems Problems

	told    map[Problem]bool // without their source
	further int              // problems that are not told

	maxValues               int             // that the YAML may hold, and that variables may be filled in to
	filledNodes, filledText int             // what variables were filled in to, so far
	lookedUp                map[string]bool // variables that were used; nil: not noted
	undefined               map[place]bool  // where variables stand that there are not

	secrets secret.Values
	fromEnv map[*yaml.Node]bool // values that hold one from the environment
}

// place is one in a file.
type place struct{ line, column int }

func newReporter(file string, text []byte) *reporter {
	return &reporter{file: file, lines: strings.Split(string(text), "\n"), fromEnv: map[*yaml.Node]bool{}, told: map[Problem]bool{}, maxValues: defaultMaxValues}
}

// at reports a problem at a node; the same problem at the same place, as the
// instances of a matrix find it, is reported once.
func (r *reporter) at(node *yaml.Node, hint, format string, args ...any) {
	line, column := 0, 0
	if node != nil {
		line, column = node.Line, node.Column
	}
	r.place(line, column, hint, fmt.Sprintf(format, args...))
}

func (r *reporter) place(line, column int, hint, message string) {
	if line == fromOutside {
		line, column, message = 0, 0, message+" (set from outside the file)"
	}
	if line > 0 && r.undefined[place{line, column}] {
		return // it follows from there being no such variable, which was told
	}
	p := &Problem{File: r.file, Line: line, Column: column, Message: message, Hint: hint}
	switch {
	case r.told[*p]:
		return
	case r.full():
		r.further++
		return
	}
	r.told[*p] = true
	if line > 0 && line <= len(r.lines) {
		p.Source = strings.TrimRight(r.lines[line-1], "\r")
	}
	r.problems = append(r.problems, p)
}

// mostProblems is how many problems are told: nobody mends more at once, and a file of a million mistakes is no pipeline.
const mostProblems = 200

func (r *reporter) full() bool { return len(r.problems) >= mostProblems }

// params reports what was wrong with parameters decoded from with. Errors
// that know only their path are placed by it.
func (r *reporter) params(with *yaml.Node, prefix string, errs ...*params.Error) {
	for _, e := range errs {
		line, column := e.Line, e.Column
		if line == 0 && with != nil {
			node := params.Locate(with, e.Path)
			line, column = node.Line, node.Column
		}
		message := e.Message
		if e.Path != "" {
			message = e.Path + ": " + message
		}
		r.place(line, column, e.Hint, prefix+message)
	}
}

// stage reports what a stage's New or Check returned.
func (r *reporter) stage(name string, at, with *yaml.Node, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			r.stage(name, at, with, e)
		}
		return
	}
	var param *params.Error
	if errors.As(err, &param) && with != nil {
		r.params(with, "stage "+name+": ", param)
		return
	}
	r.at(at, "", "stage %s: %v", name, err)
}

func (r *reporter) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b *Problem) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	for _, p := range r.problems {
		p.hide(&r.secrets)
	}
	if r.further > 0 {
		r.problems = append(r.problems, &Problem{File: r.file, Message: fmt.Sprintf("there are more problems, %d at least", r.further)})
	}
	return r.problems
}
