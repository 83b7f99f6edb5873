package augment

import (
	"image"
	"image/color"
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Background paints another background: of pictures whose subject stands before one colour, as drawings and products do.
type Background struct {
	Probability float64 `yaml:"probability" above:"0" max:"1" doc:"probability that a copy gets another background; 0.5 if not given"`
	Kind        string  `yaml:"kind" enum:"colour,texture" doc:"one colour, or a cloudy texture of two; drawn at random for each copy; texture if not given"`
}

// backgroundKinds are the words of the kinds.
func backgroundKinds() []string { return []string{"colour", "texture"} }

// DecodeParam implements params.Decoder: the word of a kind, or a mapping.
func (b *Background) DecodeParam(d *params.Decoding, node *yaml.Node) {
	*b = Background{Probability: 0.5, Kind: "texture"}
	if node.Kind == yaml.ScalarNode {
		if b.Kind = node.Value; !slices.Contains(backgroundKinds(), b.Kind) {
			d.Errorf(node, params.DidYouMean(node.Value, backgroundKinds())+", or a mapping such as {probability: 0.5, kind: colour}", "%q is not a kind of background", node.Value)
		}
		return
	}
	type plain Background
	d.Into(node, (*plain)(b))
}

// ParamSchema implements params.Schemer.
func (Background) ParamSchema(inner map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{map[string]any{"enum": backgroundKinds()}, inner}}
}

// near is how far a colour channel may lie from the background's for a pixel to belong to it, and leastBackground which share
// of the picture it must cover.
const (
	near            = 24
	leastBackground = 0.1
)

// paint puts the background behind what it finds in front of it: all pixels that are connected with the border and of
// about its colour. A picture without such a background stays as it is.
func (b Background) paint(src *image.NRGBA, d *draw) *image.NRGBA {
	behind, share := backgroundOf(src)
	of := b.colours(src.Rect.Dx(), src.Rect.Dy(), d) // drawn in any case, so that what comes after is drawn alike
	if share < leastBackground {
		return src
	}
	out := image.NewNRGBA(src.Rect)
	copy(out.Pix, src.Pix)
	for i, is := range behind {
		if is {
			c := of(i%src.Rect.Dx(), i/src.Rect.Dx())
			copy(out.Pix[4*i:], []byte{c.R, c.G, c.B, 255})
		}
	}
	return out
}

// backgroundOf finds the pixels of the background, and the share that they are of the picture.
func backgroundOf(src *image.NRGBA) (behind []bool, share float64) {
	w, h := src.Rect.Dx(), src.Rect.Dy()
	var border []int
	for x := range w {
		border = append(border, x, (h-1)*w+x)
	}
	for y := range h {
		border = append(border, y*w, y*w+w-1)
	}
	var middle [3]int // median of the border
	for c := range middle {
		var levels []byte
		for _, i := range border {
			levels = append(levels, src.Pix[4*i+c])
		}
		slices.Sort(levels)
		middle[c] = int(levels[len(levels)/2])
	}
	belongs := func(i int) bool {
		for c, m := range middle {
			if level := int(src.Pix[4*i+c]); level < m-near || level > m+near {
				return false
			}
		}
		return true
	}
	behind = make([]bool, w*h)
	count := 0
	add := func(queue []int, i int) []int {
		if behind[i] || !belongs(i) {
			return queue
		}
		behind[i] = true
		count++
		return append(queue, i)
	}
	var queue []int
	for _, i := range border {
		queue = add(queue, i)
	}
	for len(queue) > 0 {
		i := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if x := i % w; x > 0 {
			queue = add(queue, i-1)
		}
		if x := i % w; x < w-1 {
			queue = add(queue, i+1)
		}
		if i >= w {
			queue = add(queue, i-w)
		}
		if i < (h-1)*w {
			queue = add(queue, i+w)
		}
	}
	return behind, float64(count) / float64(w*h)
}

// colours gives the colour of each place of a background.
func (b Background) colours(w, h int, d *draw) func(x, y int) color.NRGBA {
	var ends [2][3]float64
	for i := range ends {
		for c := range ends[i] {
			ends[i][c] = 255 * d.Float64()
		}
	}
	cells := 2 + d.IntN(7) // along each side
	lattice := make([]float64, (cells+1)*(cells+1))
	for i := range lattice {
		lattice[i] = d.Float64()
	}
	return func(x, y int) color.NRGBA {
		t := 0.0
		if b.Kind != "colour" {
			u, v := float64(x)/float64(w)*float64(cells), float64(y)/float64(h)*float64(cells)
			i, j := int(u), int(v)
			u, v = u-float64(i), v-float64(j)
			at := func(i, j int) float64 { return lattice[j*(cells+1)+i] }
			t = (at(i, j)*(1-u)+at(i+1, j)*u)*(1-v) + (at(i, j+1)*(1-u)+at(i+1, j+1)*u)*v
		}
		mixed := func(c int) uint8 { return level(ends[0][c]*(1-t) + ends[1][c]*t) }
		return color.NRGBA{R: mixed(0), G: mixed(1), B: mixed(2), A: 255}
	}
}
