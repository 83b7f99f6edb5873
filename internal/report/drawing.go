package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
)

// Sizes of the drawing of a network, in pixels.
const (
	stackWidth   = 172.0
	blockLeft    = 13.0
	blockWidth   = stackWidth - blockLeft - 1
	blockHeight  = 27.0
	blockGap     = 7.0
	thinHeight   = 21.0 // of a network of many blocks
	thinGap      = 4.0
	manyBlocks   = 12
	mostBlocks   = 24   // more are drawn together where they are treated alike
	cutGap       = 40.0 // between blocks where some phase's prefix ends
	stackTop     = 16.0 // for the arrow out of the head
	stackBottom  = 26.0 // for what goes in
	letterHeight = 12.5
)

// stackView is the drawing of a network in one phase of a training: its blocks
// one above the other, the head on top.
type stackView struct {
	Width, Height float64
	Middle        float64 // of the blocks, from the left
	Blocks        []blockView
	Flow          string // the way up from block to block
	Tip           string // its arrow's head
	Input         float64
	Enters        string // what goes in: pixels or tokens
	Cut           *cutView
	Label         string // says the drawing in words
}

// entering is what the first layer with weights takes.
func entering(first string) string {
	if strings.HasPrefix(first, "embedding") {
		return "tokens"
	}
	return "pixels"
}

// blockView is a group of layers.
type blockView struct {
	X, Y, Width, Height float64
	Middle              float64
	Name, State         string
	Class               string // frozen, partly or trained
	Title               string
}

// TextX and StateX are where the name begins and the state ends.
func (b blockView) TextX() float64  { return b.X + 9 }
func (b blockView) StateX() float64 { return b.X + b.Width - 9 }

// The plug is what was trained of a block that was trained in part.

func (b blockView) PlugX() float64      { return b.X + b.Width - 3 - b.PlugWidth() }
func (b blockView) PlugY() float64      { return b.Y + 3 }
func (b blockView) PlugWidth() float64  { return 12 + 7*float64(len(b.State)) }
func (b blockView) PlugHeight() float64 { return b.Height - 6 }

// cutView is where the cached part of the network ends.
type cutView struct {
	X, Y    float64
	Lines   []cutLine
	Bracket string // path around what was computed once
}

type cutLine struct {
	Y    float64
	Text string
}

// What a phase did with a group of layers; classes in the style sheet.
const (
	frozen  = "frozen"
	partly  = "partly"
	trained = "trained"
)

// mostlyTrained is the share of a group's parameters that is trained in a group
// of which nothing is frozen but norms or their statistics.
const mostlyTrained = 0.75

func treatment(row record.PhaseLayers) string {
	switch {
	case row.Trained == 0:
		return frozen
	case float64(row.Trained) < mostlyTrained*float64(row.Parameters):
		return partly
	default:
		return trained
	}
}

// rowGroup is a run of layers that every phase treats alike: one block.
type rowGroup struct{ from, to int }

// groupRows draws neighbours as one block where there are many groups of
// layers and every phase treats them alike. The head stands alone.
func groupRows(phases []phase) []rowGroup {
	n := len(phases[0])
	var out []rowGroup
	for i := range n {
		if i > 0 && i < n-1 && n > mostBlocks && alike(phases, i-1, i) {
			out[len(out)-1].to = i
			continue
		}
		out = append(out, rowGroup{i, i})
	}
	return out
}

// alike tells whether no phase makes a difference between two groups of layers,
// the first below the second, nor ends its prefix between them.
func alike(phases []phase, a, b int) bool {
	for _, p := range phases {
		if treatment(p[a]) != treatment(p[b]) || p[a].Trained > 0 && p[a].Rate != p[b].Rate {
			return false
		}
		if p[0].Prefix != "" && scopeOf(p[0].Prefix) == p[a].Layers {
			return false
		}
	}
	return true
}

// scopeOf is the group of layers that a layer is in.
func scopeOf(layer string) string {
	scope, _, _ := strings.Cut(layer, ".")
	return scope
}

// isWithin tells whether the prefix of a phase ends within a block, below what
// learns there.
func isWithin(p phase, g rowGroup) bool {
	for _, row := range p[g.from : g.to+1] {
		if row.Layers == scopeOf(p[0].Prefix) && row.Trained > 0 {
			return true
		}
	}
	return false
}

// cutOf is the block above which the end of a phase's prefix is marked; −1
// without a prefix.
func cutOf(p phase, groups []rowGroup) int {
	if p[0].Prefix == "" {
		return -1
	}
	for i, g := range groups {
		for _, row := range p[g.from : g.to+1] {
			switch {
			case row.Layers != scopeOf(p[0].Prefix):
			case row.Trained > 0:
				return i - 1
			default:
				return i
			}
		}
	}
	// A layer that no group is called after: what is frozen at the bottom.
	i := slices.IndexFunc(groups, func(g rowGroup) bool { return p[g.from].Trained > 0 })
	return i - 1
}

// drawStacks draws the network in each phase, block beside block.
func drawStacks(phases []phase) []stackView {
	groups := groupRows(phases)
	cuts := make([]int, len(phases))
	for i, p := range phases {
		cuts[i] = cutOf(p, groups)
	}
	height, gap := blockHeight, blockGap
	if len(groups) > manyBlocks {
		height, gap = thinHeight, thinGap
	}
	// From the head down: the upper ends of the blocks.
	tops := make([]float64, len(groups))
	y := stackTop
	for i := range slices.Backward(groups) {
		tops[i] = y
		y += height + gap
		if i > 0 && slices.Contains(cuts, i-1) {
			y += cutGap - gap
		}
	}
	bottom := tops[0] + height
	middle := blockLeft + blockWidth/2
	out := make([]stackView, len(phases))
	for k, p := range phases {
		v := stackView{
			Width: stackWidth, Height: bottom + stackBottom, Middle: middle, Input: bottom + stackBottom - 4, Label: p.inWords(),
			Enters: entering(p[0].Layers), Tip: fmt.Sprintf("M%s 2l-4 7h8z", coordinate(middle)),
		}
		var flow strings.Builder
		fmt.Fprintf(&flow, "M%s %sV%s", coordinate(middle), coordinate(bottom+stackBottom-16), coordinate(bottom))
		for i, g := range groups {
			v.Blocks = append(v.Blocks, newBlock(p[g.from:g.to+1], tops[i], height))
			above := 8.0
			if i < len(groups)-1 {
				above = tops[i+1] + height
			}
			fmt.Fprintf(&flow, "M%s %sV%s", coordinate(middle), coordinate(tops[i]), coordinate(above))
		}
		v.Flow = flow.String()
		if at := cuts[k]; at >= 0 {
			v.Cut = newCut(p[0], tops[at], bottom)
			if at+1 < len(groups) && isWithin(p, groups[at+1]) {
				v.Cut.Lines[0].Text = "computed once into " + shortened(scopeOf(p[0].Prefix), 58, letterHeight) + ":"
			}
		}
		out[k] = v
	}
	return out
}

func newBlock(rows phase, top, height float64) blockView {
	b := blockView{
		X: blockLeft, Y: top, Width: blockWidth, Height: height, Middle: top + height/2 + 4,
		Class: treatment(rows[0]), State: frozen,
	}
	name := rows[0].Layers
	if len(rows) > 1 {
		last := rows[len(rows)-1].Layers
		letters := strings.TrimRight(name, "0123456789")
		name += "…" + strings.TrimPrefix(last, letters) // "block1…12", "stem…block3"
	}
	if b.Class != frozen {
		b.State = learningRate(rows[0].Rate)
	}
	b.Name = shortened(name, blockWidth-20-6*float64(len(b.State)), letterHeight)
	for _, row := range rows {
		if b.Title != "" {
			b.Title += "; "
		}
		b.Title += rowInWords(row)
	}
	return b
}

// newCut marks the end of a prefix above a block, down to the lowest one.
func newCut(p record.PhaseLayers, top, bottom float64) *cutView {
	y := top - cutGap + 8
	return &cutView{
		X: blockLeft + 2, Y: y,
		Lines:   []cutLine{{y + 13, "computed once to here:"}, {y + 26, plural(p.PrefixRows, "row") + " cached"}},
		Bracket: fmt.Sprintf("M%s %sH4V%sH%s", coordinate(blockLeft-3), coordinate(y), coordinate(bottom-1), coordinate(blockLeft-3)),
	}
}

func rowInWords(row record.PhaseLayers) string {
	text := fmt.Sprintf("%s, %s: ", row.Layers, plural(row.Parameters, "parameter"))
	if row.Trained == 0 {
		return text + frozen
	}
	text += fmt.Sprintf("%s trained at %s", count(row.Trained), learningRate(row.Rate))
	switch row.BatchNorm {
	case "":
		return text
	case "train":
		return text + ", norms in training"
	default:
		return text + ", norms " + row.BatchNorm
	}
}

// inWords says what a phase did with each group of layers, from the head down.
func (p phase) inWords() string {
	var parts []string
	for _, row := range slices.Backward(p) {
		parts = append(parts, rowInWords(row))
	}
	text := fmt.Sprintf("Phase %d, %s. %s.", p[0].Number, p[0].Phase, strings.Join(parts, "; "))
	if p[0].Prefix != "" {
		text += fmt.Sprintf(" Computed once up to %s: %s cached.", p[0].Prefix, plural(p[0].PrefixRows, "row"))
	}
	return text
}

// rates are the least and the largest learning rate of a phase; NaN if it
// trained nothing.
func (p phase) rates() (least, most float64) {
	least, most = math.NaN(), math.NaN()
	for _, row := range p {
		if row.Trained == 0 {
			continue
		}
		if math.IsNaN(least) || row.Rate < least {
			least = row.Rate
		}
		if math.IsNaN(most) || row.Rate > most {
			most = row.Rate
		}
	}
	return least, most
}

func (p phase) parameters() (trained, all int64) {
	for _, row := range p {
		trained += row.Trained
		all += row.Parameters
	}
	return trained, all
}
