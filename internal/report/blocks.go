package report

import "html/template"

// What sections are put together from. A section that needs none but these needs no template of its own.

// paragraph is text; pieces of it may be strong.
func paragraph(spans ...span) block { return block{"block-paragraph", spans} }

// note is text in small type: what to know of what stands above it.
func note(text string) block { return block{"block-note", text} }

// subheading begins a part of a section.
func subheading(title string) block { return block{"block-heading", title} }

// tableOf is a table of numbers, which scrolls by itself where it is wider than the page.
func tableOf(t numberTable) block { return block{"numbers", t} }

// folded hides blocks behind a summary; they are open where open says so, and in print.
func folded(summary string, open bool, inside ...block) block {
	return block{"block-folded", foldedView{Summary: summary, Open: open, inside: inside}}
}

type foldedView struct {
	Summary string
	Open    bool
	inside  []block
	Body    template.HTML
}

// chart is a plot under a heading, and a sentence on it.
type chart struct {
	Name, Full string // a short name, and the whole of it
	Panel      panel
	Summary    string
}

// charts stand side by side where there is room.
func charts(all ...chart) block { return block{"block-charts", all} }

// key says what a symbol or a line of the charts means.
type key struct {
	Colour, Symbol int
	Line, Rest     bool // a line; a grey one, of all that have no colour of their own
	Name           string
}

// keysOf is the legend of charts.
func keysOf(keys ...key) block { return block{"block-keys", keys} }

// card is a picture with what is said of it. Without a picture, a box says so.
type card struct {
	Picture     template.URL
	Alternative string // the picture in words
	Lines       []cardLine
	ID          string
}

// cardLine is a line below a picture: "true **bird** 3.1%".
type cardLine struct {
	Role, Name, Number string
	Class              string // right or wrong, for a mark; else empty
}

// cards are pictures in a grid.
func cards(all []card) block { return block{"block-cards", all} }

// more says how many models are not shown in detail; nothing if there are none.
func more(models int) block { return block{"more", models} }
