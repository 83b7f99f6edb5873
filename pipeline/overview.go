package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Overview is what a source found, told before any row of it is read.
type Overview struct {
	Rows    int64        `json:"rows"`
	Splits  []string     `json:"splits"`            // those that have rows, or should have
	Classes []ClassRows  `json:"classes,omitempty"` // by name; rows without a label under ""
	Task    string       `json:"task,omitempty"`    // "" if the labels are what is learned, else multi_label or regression
	Targets []ClassRows  `json:"targets,omitempty"` // then: the rows that each class applies to, or that each number is known of
	Domains []DomainRows `json:"domains,omitempty"` // by name, where rows say which they are of
	Width   int          `json:"width,omitempty"`   // numbers of a row, where rows are numbers
	Columns []string     `json:"columns,omitempty"` // further columns that are kept beside each row
	Sizes   *Sizes       `json:"sizes,omitempty"`   // of pictures, as far as their headers were looked at
	Notes   []string     `json:"notes,omitempty"`   // lines for people: what may surprise

	// Learned are the columns that the target was read from: they are not among Columns.
	Learned []string `json:"-"`
	// Texts tells of the values in Columns, by the name of the column.
	Texts map[string]ColumnTexts `json:"-"`
}

// ColumnTexts is what is known of the texts in a column of a source.
type ColumnTexts struct {
	Known    int64     // rows of split train that have one
	First    string    // the first of these texts
	Varies   bool      // whether another one differs from it
	NoNumber *CellText // the first, of any split, that is not a number; nil if all are
}

// CellText is a text in a row of a source.
type CellText struct{ Row, Text string }

// Sizes are widths and heights in pixels among the pictures whose headers were looked at, by area.
type Sizes struct {
	Pictures int    `json:"pictures"` // that were looked at
	Smallest [2]int `json:"smallest"`
	Median   [2]int `json:"median"`
	Largest  [2]int `json:"largest"`
}

// ClassRows counts the rows of a class by split.
type ClassRows struct {
	Name  string           `json:"class"`
	Rows  map[string]int64 `json:"rows"`
	Empty bool             `json:"empty,omitempty"` // the source has the class, and no row of it
}

// DomainRows counts the rows of a value of the column domain, by class and split. Rows without one have the name "".
type DomainRows struct {
	Name    string      `json:"domain"`
	Classes []ClassRows `json:"classes"`
}

// Of narrows an overview to rows of domains; nil: all rows.
func (o *Overview) Of(domains []string) *Overview {
	if domains == nil {
		return o
	}
	out := *o
	out.Rows, out.Classes, out.Domains = 0, nil, nil
	at := map[string]int{}
	for _, d := range o.Domains {
		if !slices.Contains(domains, d.Name) {
			continue
		}
		out.Domains = append(out.Domains, d)
		for _, c := range d.Classes {
			if _, seen := at[c.Name]; !seen {
				at[c.Name] = len(out.Classes)
				out.Classes = append(out.Classes, ClassRows{Name: c.Name, Rows: map[string]int64{}})
			}
			for split, n := range c.Rows {
				out.Classes[at[c.Name]].Rows[split] += n
				out.Rows += n
			}
		}
	}
	return &out
}

// Total is the number of rows of the class.
func (c ClassRows) Total() int64 {
	n := int64(0)
	for _, rows := range c.Rows {
		n += rows
	}
	return n
}

// Split counts the rows of a split, those with a label, and the classes that they are of.
func (o *Overview) Split(split string) (rows, labelled int64, classes []string) {
	for _, c := range o.Classes {
		n := c.Rows[split]
		rows += n
		if c.Name != "" && n > 0 {
			labelled += n
			classes = append(classes, c.Name)
		}
	}
	return rows, labelled, classes
}

// Demanding is implemented by whole-table stages that fail without rows of some kind: where a source's overview shows that there
// are none, the run ends before any row is read.
type Demanding interface {
	Demands() []Demand
}

// Demand is what must be among the rows of an input.
type Demand struct {
	Port    string
	Split   string // rows of this split
	Classes int    // so many classes among them; 0: rows without labels do too
	Why     string // ends "there are no rows of split val, and …"
}

// Foreseeing is implemented by whole-table stages that can tell by what sources found, of several inputs together, that they
// would fail. Then the run ends before any row is read.
type Foreseeing interface {
	// Foresee is given what is known of the inputs so far, by port. Its errors are those of parameters.
	Foresee(inputs map[string]Foreseen) error
}

// Foreseen is what is known of the rows of an input before they are there.
type Foreseen struct {
	*Overview
	// Exact says that every row of the source comes to the input as one row, unless it is rejected on the way.
	Exact bool
}

// Passing is implemented by row-wise stages that pass on every row that they can use, with its id, label, split and domain.
type Passing interface {
	// Passes tells whether the stage adds copies of rows.
	Passes() (copies bool)
}

// foresee tells why a node would fail, as far as the sources that are listed tell it.
func (n *Node) foresee(listed map[*Node]*Overview) error {
	stage, ok := n.Stage.(Foreseeing)
	if !ok {
		return nil
	}
	inputs := map[string]Foreseen{}
	for _, e := range n.Inputs {
		source := origin(e.From)
		o := listed[source]
		if source == nil || o == nil {
			continue
		}
		f, known := Foreseen{Overview: o, Exact: true}, true
		for at := e.From; at != source; at = at.Inputs[0].From {
			stage, passes := at.Stage.(Passing)
			known = known && passes
			f.Exact = f.Exact && passes && !stage.Passes()
		}
		if known {
			inputs[e.Port] = f
		}
	}
	if len(inputs) == 0 {
		return nil
	}
	return n.placed(stage.Foresee(inputs))
}

// placed gives errors in the node's parameters their place in the file.
func (n *Node) placed(err error) error {
	if param := new(params.Error); !errors.As(err, &param) || n.graph == nil {
		return err
	}
	r := n.graph.reporter()
	r.stage(n.Declared.Name, n.Declared.uses, n.with, err)
	return r.err()
}

// lacks tells what a node needs of a source's rows and is not there.
func (n *Node) lacks(source *Node, o *Overview) (lacks []string) {
	stage, ok := n.Stage.(Demanding)
	if !ok || o == nil {
		return nil
	}
	for _, demand := range stage.Demands() {
		for _, e := range n.Inputs {
			if e.Port != demand.Port || origin(e.From) != source {
				continue
			}
			if lack := demand.lacks(o); lack != "" && !slices.Contains(lacks, lack) {
				lacks = append(lacks, lack)
			}
		}
	}
	return lacks
}

// origin is the source that a node's rows come from, through row-wise stages; nil if they come from elsewhere.
func origin(n *Node) *Node {
	for {
		if _, ok := n.Stage.(Source); ok {
			return n
		}
		if _, ok := n.Stage.(RowWise); !ok || len(n.Inputs) == 0 {
			return nil
		}
		n = n.Inputs[0].From
	}
}

// lacks says what an overview lacks, "" if nothing.
func (d Demand) lacks(o *Overview) string {
	rows, labelled, classes := o.Split(d.Split)
	switch {
	case rows == 0:
		return fmt.Sprintf("there are no rows of split %s, and %s; rows by split: %s", d.Split, d.Why, o.SplitsInWords())
	case o.Task != "": // the labels do not matter
		return ""
	case d.Classes > 0 && labelled == 0:
		return fmt.Sprintf("none of the %d rows of split %s has a label", rows, d.Split)
	case len(classes) < d.Classes:
		return fmt.Sprintf("all %d rows of split %s are of class %q: there must be %d classes or more", labelled, d.Split, classes[0], d.Classes)
	}
	return ""
}

// SplitsInWords counts the rows of each split, for people.
func (o *Overview) SplitsInWords() string {
	var parts []string
	for _, split := range o.Splits {
		if rows, _, _ := o.Split(split); rows > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", split, rows))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
