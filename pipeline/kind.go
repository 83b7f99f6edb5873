package pipeline

import (
	"fmt"

	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Kind declares a kind of stage. From this one declaration come the decoding
// and validation of `with`, the defaults, the help text, the JSON Schema, the
// check of ports and the version that enters every cache key.
type Kind struct {
	Name    string // the word after `uses:`
	Summary string // one line, for listings
	Doc     string // a few sentences, for `tlpipe stages NAME`
	Example string // YAML of one stage, as it would stand under `stages:`

	// Version is raised whenever the same recipe must give other bytes than
	// before; it makes every earlier result of this kind unreachable.
	Version int

	// Seeded kinds draw random numbers: the seed is part of their recipe.
	Seeded bool

	// Inputs in order; a bare `from: stage` connects to the first. The first
	// input of a row-wise kind is the one that streams.
	Inputs []Port

	// Outputs in order; a bare reference to a stage means the first of the
	// kind that the referring port takes. Row-wise kinds have exactly one;
	// every stage has a `rejects` table besides.
	Outputs []Port

	// Params is a struct value that holds the defaults; package params tells
	// which tags and types it may have.
	Params any

	// New makes the stage from decoded parameters, a value of Params' type.
	// An error is shown at the stage's position in the YAML; a *params.Error
	// points at the parameter that is wrong.
	New func(decoded any) (Stage, error)
}

// Define builds a Kind whose parameters are of type P, so that stages need no
// type assertion: the defaults and the constructor are given as P.
func Define[P any](kind Kind, defaults P, build func(P) (Stage, error)) Kind {
	kind.Params = defaults
	kind.New = func(decoded any) (Stage, error) {
		p, ok := decoded.(P)
		if !ok {
			return nil, fmt.Errorf("stage kind %s: parameters are %T, not %T", kind.Name, decoded, p)
		}
		return build(p)
	}
	return kind
}

// Output returns the declared output port of that name.
func (k Kind) Output(name string) (Port, bool) { return findPort(k.Outputs, name) }

// Input returns the declared input port of that name.
func (k Kind) Input(name string) (Port, bool) { return findPort(k.Inputs, name) }

func findPort(ports []Port, name string) (Port, bool) {
	for _, p := range ports {
		if p.Name == name {
			return p, true
		}
	}
	return Port{}, false
}

// PortKind is the sort of table a port carries. Package record has the
// schema of each.
type PortKind string

// The kinds of port.
const (
	Images      PortKind = "images"      // one row a picture, pixels in a tensor column
	Features    PortKind = "features"    // one row a picture or text, a feature tensor
	Text        PortKind = "text"        // one row a text
	Model       PortKind = "model"       // one row a tensor, the architecture in the metadata
	Predictions PortKind = "predictions" // one row an input, a probability a class
	Metrics     PortKind = "metrics"     // any table of numbers about models
	Rows        PortKind = "rows"        // a table whose columns tell what it is: it may be taken as images, features, text or predictions
)

// Port is a named input or output of a kind.
type Port struct {
	Name string
	Kind PortKind
	Doc  string

	// Also lists further kinds that an input takes.
	Also []PortKind

	// Optional inputs may be left unconnected.
	Optional bool

	// Many inputs take a list of artifacts; a reference to a stage that the
	// matrix multiplied gathers all of its instances instead of multiplying
	// the referring stage too.
	Many bool
}

// Takes tells whether an artifact of kind k may be connected to the input.
func (p Port) Takes(k PortKind) bool {
	for _, own := range append([]PortKind{p.Kind}, p.Also...) {
		if own == k || k == Rows && own != Model && own != Metrics {
			return true
		}
	}
	return false
}

// Traits are facts about an artifact that are known before it exists, such as
// how pixels were prepared. They travel along the ports when a pipeline is
// checked, and stages refuse what does not fit. Keys and values are plain
// text; package record defines those that images and features carry.
type Traits map[string]string

// ParamError is an error in one parameter, named by its path in `with`, such
// as "split.train". New and Check may return one, or several joined.
func ParamError(path, format string, args ...any) error {
	return &params.Error{Path: path, Message: fmt.Sprintf(format, args...)}
}

// ParamErrorHint is ParamError with a hint at what would be right.
func ParamErrorHint(path, hint, format string, args ...any) error {
	return &params.Error{Path: path, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// ParamIdle is ParamErrorHint for a parameter that is right in itself, but that nothing takes beside the others. Of a matrix it is an
// error only if no instance takes the parameter; New returns the stage with it.
func ParamIdle(path, hint, format string, args ...any) error {
	return &params.Error{Path: path, Message: fmt.Sprintf(format, args...), Hint: hint, Idle: true}
}
