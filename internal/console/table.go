package console

import (
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/mattn/go-runewidth"
	"golang.org/x/term"

	"github.com/tlpipe/tlpipe/internal/untrusted"
)

// Table is text in columns, as wide as their widest cell.
type Table struct {
	right []bool
	rows  [][]string
	width int // 0: as wide as need be
}

// NewTable starts a table with the heads of its columns; a head that starts
// with ">" makes a column of numbers, set to the right.
func NewTable(heads ...string) *Table {
	t := &Table{}
	row := make([]string, len(heads))
	for i, h := range heads {
		text, right := strings.CutPrefix(h, ">")
		row[i] = text
		t.right = append(t.right, right)
	}
	t.rows = append(t.rows, row)
	return t
}

// Row adds a row; cells beyond the heads are dropped.
func (t *Table) Row(row ...string) {
	for i, c := range row {
		row[i] = Line(c)
	}
	t.rows = append(t.rows, row[:min(len(row), len(t.right))])
}

// Len is the number of rows without the heads.
func (t *Table) Len() int { return len(t.rows) - 1 }

// Fit makes the table no wider than the terminal that it is printed on; where there is none, than $COLUMNS or 80 letters. The
// last column is broken into lines.
func (t *Table) Fit(f *os.File) *Table {
	t.width = defaultWidth
	if columns, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && columns > 0 {
		t.width = columns
	}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		t.width = width
	}
	return t
}

// defaultWidth is that of what is no terminal: files, pipes.
const defaultWidth = 80

// Write prints the table, each line after indent.
func (t *Table) Write(w io.Writer, indent string) error { return t.write(w, indent, t.rows) }

// WriteBody prints the table without its heads.
func (t *Table) WriteBody(w io.Writer, indent string) error { return t.write(w, indent, t.rows[1:]) }

func (t *Table) write(w io.Writer, indent string, rows [][]string) error {
	widths := make([]int, len(t.right))
	for _, row := range rows {
		for i, c := range row {
			widths[i] = max(widths[i], cells().StringWidth(c))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		line := indent
		for i, c := range row {
			if i > 0 {
				line += "  "
			}
			space := strings.Repeat(" ", widths[i]-cells().StringWidth(c))
			switch {
			case t.right[i]:
				line += space + c
			case i == len(t.right)-1:
				line = t.lastCell(line, c)
			default:
				line += c + space
			}
		}
		b.WriteString(strings.TrimRight(line, " "))
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// lastCell appends a cell to a line, broken into several if there is no room.
func (t *Table) lastCell(line, cell string) string {
	at := cells().StringWidth(line)
	room := t.width - at
	if t.width == 0 || room <= 0 || cells().StringWidth(cell) <= room {
		return line + cell
	}
	if room < leastRoom { // it goes below the line
		below := "\n" + strings.Repeat(" ", belowIndent)
		return strings.TrimRight(line, " ") + below + strings.ReplaceAll(Wrap(cell, max(t.width-belowIndent, leastRoom)), "\n", below)
	}
	return line + strings.ReplaceAll(Wrap(cell, room), "\n", "\n"+strings.Repeat(" ", at))
}

const (
	leastRoom   = 24 // how narrow a broken column may be, in cells
	belowIndent = 4  // of a last column that stands below its line
)

// Line makes text safe for one line of a terminal: control characters, which
// file names may hold, are shown and not obeyed.
func Line(text string) string { return untrusted.Line(text) }

// Shorten cuts text to a width, with … for what is left out.
func Shorten(text string, width int) string {
	return cells().Truncate(Line(untrusted.Cut(text, 4*width+64)), width, "…") // characters may have no width
}

// cells measures text in cells of a terminal. It is not the library's default,
// which depends on the locale.
func cells() *runewidth.Condition { return &runewidth.Condition{} }

// Wrap breaks text into lines of at most width letters, at spaces. Line breaks
// in the text stay.
func Wrap(text string, width int) string {
	var out []string
	for _, paragraph := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		line := ""
		for _, word := range strings.Fields(paragraph) {
			if line != "" && cells().StringWidth(line)+1+cells().StringWidth(word) > width {
				out = append(out, line)
				line = ""
			}
			if line != "" {
				line += " "
			}
			line += word
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}
