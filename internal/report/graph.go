package report

import (
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mattn/go-runewidth"
)

// Sizes of the wide drawing, in pixels.
const (
	boxWidth    = 176.0
	boxHeight   = 66.0
	plainHeight = 46.0 // of a box that tells no state
	columnGap   = 42.0
	graphMargin = 6.0
)

// Sizes of the narrow drawing.
const (
	rowHeight   = 52.0
	laneWidth   = 15.0
	narrowWidth = 352.0
)

// Graph draws the pipeline as an SVG document, with what became of each node
// if it has run.
func Graph(w io.Writer, nodes []Node) error {
	templates, err := parseTemplates()
	if err != nil {
		return err
	}
	if err := templates.ExecuteTemplate(w, "graph.svg", newGraphView(nodes)); err != nil {
		return fmt.Errorf("draw the pipeline: %w", err)
	}
	return nil
}

// graphView is a drawing of a pipeline, ready for the template.
type graphView struct {
	Width, Height float64
	Boxes         []boxView
	Edges         []edgeView
	Label         string // says the drawing in words
	Style         template.CSS
}

type boxView struct {
	X, Y, Width, Height float64
	Name, Detail, State string
	Amount              string
	Class               string
	Title               string
	Dot                 float64 // of a node in the narrow drawing: its x
}

// InnerWidth, InnerHeight and AmountX are places inside the box.
func (b boxView) InnerWidth() float64  { return b.Width - 2 }
func (b boxView) InnerHeight() float64 { return b.Height - 2 }
func (b boxView) AmountX() float64     { return b.Width - 12 }

type edgeView struct {
	Path  string
	Tip   string // the arrow's head
	Title string
}

func newGraphView(nodes []Node) graphView {
	edges := edgesOf(nodes)
	height := plainHeight
	for _, n := range nodes {
		if n.State != Unknown {
			height = boxHeight
		}
	}
	l := newLayout(edges, height)
	left := func(column int) float64 { return graphMargin + float64(column)*(boxWidth+columnGap) }
	view := graphView{
		Width:  left(max(len(l.columns)-1, 0)) + boxWidth + graphMargin,
		Height: l.height + 2*graphMargin,
		Label:  graphInWords(nodes),
		Style:  template.CSS(graphStyle()),
	}
	for _, column := range l.columns {
		for _, v := range column {
			if v.node >= 0 {
				box := newBox(nodes[v.node], boxWidth-34)
				box.X, box.Y, box.Width, box.Height = left(v.column), v.y-height/2+graphMargin, boxWidth, height
				view.Boxes = append(view.Boxes, box)
			}
		}
	}
	for _, route := range l.routes {
		view.Edges = append(view.Edges, newEdge(route, left, nodes))
	}
	return view
}

// newEdge draws a curve from box to box, straight where it passes a column.
func newEdge(route []*vertex, left func(column int) float64, nodes []Node) edgeView {
	var path strings.Builder
	x, y := left(route[0].column)+boxWidth, route[0].y+graphMargin
	fmt.Fprintf(&path, "M%s %s", coordinate(x), coordinate(y))
	for _, v := range route[1:] {
		toX, toY := left(v.column), v.y+graphMargin
		end := toX
		if v.node >= 0 {
			end -= 5 // room for the arrow's head
		}
		half := (x + end) / 2
		fmt.Fprintf(&path, "C%s %s %s %s %s %s", coordinate(half), coordinate(y), coordinate(half), coordinate(toY), coordinate(end), coordinate(toY))
		x, y = toX, toY
		if v.node < 0 {
			x += boxWidth
			fmt.Fprintf(&path, "H%s", coordinate(x))
		}
	}
	from, to := nodes[route[0].node], nodes[route[len(route)-1].node]
	return edgeView{
		Path:  path.String(),
		Tip:   fmt.Sprintf("M%s %sl-7 -4v8z", coordinate(x), coordinate(y)),
		Title: fmt.Sprintf("%s → %s (%s)", from.Name, to.Name, portsBetween(from, to)),
	}
}

// newNarrowGraphView draws one row a node, for screens too narrow for columns.
func newNarrowGraphView(nodes []Node) graphView {
	edges := edgesOf(nodes)
	l := newLanes(edges)
	x := func(node int) float64 { return 12 + laneWidth*float64(l.lane[node]) }
	y := func(node int) float64 { return rowHeight*float64(node) + rowHeight/2 }
	text := 12 + laneWidth*float64(max(l.width-1, 0)) + 18
	view := graphView{
		Width: max(narrowWidth, text+190), Height: rowHeight * float64(len(nodes)),
		Label: graphInWords(nodes),
	}
	for i, n := range nodes {
		box := newBox(n, view.Width-text-100)
		box.X, box.Y, box.Dot = text, y(i), x(i)
		view.Boxes = append(view.Boxes, box)
		for _, from := range edges[i] {
			view.Edges = append(view.Edges, edgeView{
				Path:  lanePath(x(from), y(from), x(i), y(i)),
				Title: fmt.Sprintf("%s → %s (%s)", nodes[from].Name, n.Name, portsBetween(nodes[from], n)),
			})
		}
	}
	return view
}

// lanePath goes straight down the lane of the node above and turns into the
// other lane in the last row.
func lanePath(fromX, fromY, toX, toY float64) string {
	turn := toY - rowHeight + 10
	if fromX == toX {
		return fmt.Sprintf("M%s %sV%s", coordinate(fromX), coordinate(fromY), coordinate(toY))
	}
	return fmt.Sprintf("M%s %sV%sC%s %s %s %s %s %s", coordinate(fromX), coordinate(fromY), coordinate(max(turn, fromY)),
		coordinate(fromX), coordinate(toY-8), coordinate(toX), coordinate(turn+8), coordinate(toX), coordinate(toY))
}

func newBox(n Node, width float64) boxView {
	box := boxView{
		Name:   shortened(n.Stage, width, 13.5),
		Detail: shortened(n.Uses, width, 11.5),
		Class:  n.State.class(),
		State:  n.State.words(),
		Title:  n.Name + ": " + n.Uses,
	}
	if len(n.Coordinates) > 0 {
		box.Detail = shortened(coordinatesInWords(n.Coordinates), width, 11.5)
	}
	switch {
	case (n.State == Hit || n.State == Computed) && n.Chunks > 1:
		box.Amount = plural(n.Rows, "row")
	case n.State == Computed:
		box.Amount = seconds(n.Seconds) // a whole table's rows are no measure of it
	case n.State == Partial:
		box.State = fmt.Sprintf("%d of %s computed", n.ChunksComputed, plural(int64(n.Chunks), "chunk"))
		box.Title += fmt.Sprintf(", partly cached, %d of %d chunks computed", n.ChunksComputed, n.Chunks)
	}
	if words := n.State.words(); words != "" && n.State != Partial {
		box.Title += ", " + words
	}
	if n.Error != "" {
		box.Title += ": " + n.Error
	}
	return box
}

// edgesOf lists for each node the indices of those that it takes from, each
// once, leaving out what is not among the nodes.
func edgesOf(nodes []Node) [][]int {
	at := map[string]int{}
	edges := make([][]int, len(nodes))
	for i, n := range nodes {
		seen := map[int]bool{}
		for _, link := range n.Inputs {
			if from, ok := at[link.From]; ok && !seen[from] {
				seen[from] = true
				edges[i] = append(edges[i], from)
			}
		}
		at[n.Name] = i
	}
	return edges
}

func portsBetween(from, to Node) string {
	var ports []string
	for _, link := range to.Inputs {
		if link.From == from.Name {
			ports = append(ports, link.Port)
		}
	}
	return strings.Join(ports, ", ")
}

func graphInWords(nodes []Node) string {
	sentences := make([]string, 0, len(nodes))
	for _, n := range nodes {
		s := n.Name
		if words := n.State.words(); words != "" {
			s += " (" + words + ")"
		}
		var from []string
		for i, link := range n.Inputs {
			if i == 0 || link.From != n.Inputs[i-1].From {
				from = append(from, link.From)
			}
		}
		if len(from) > 0 {
			s += " takes from " + strings.Join(from, ", ")
		}
		sentences = append(sentences, s)
	}
	return "The pipeline. " + strings.Join(sentences, "; ") + "."
}

// shortened cuts the middle out of a text that is wider than so many pixels
// at a font size, by the mean width of letters.
func shortened(text string, width, size float64) string {
	fits := int(width / (0.56 * size))
	if textCells(text) <= fits {
		return text
	}
	runes := []rune(text)
	for keep := len(runes) - 1; keep > 2; keep-- {
		head := (keep + 1) / 2
		short := string(runes[:head]) + "…" + string(runes[len(runes)-(keep-head):])
		if textCells(short) <= fits {
			return short
		}
	}
	first, _ := utf8.DecodeRuneInString(text)
	return string(first) + "…"
}

// textCells is the width of a text in letters; those of East Asian scripts and
// emoji count twice.
func textCells(text string) int {
	wide := runewidth.Condition{} // not the default, which depends on the locale
	return wide.StringWidth(text)
}

func coordinate(x float64) string { return strconv.FormatFloat(x, 'f', -1, 32) }
