package picture

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
)

// Picture is upright and opaque: RGB, 3 bytes a pixel, row by row.
type Picture struct {
	Width, Height int // pixels
	Pixels        []uint8
}

func (p Picture) row(y int) []uint8 { return p.Pixels[3*p.Width*y : 3*p.Width*(y+1)] }

// Colour is red, green, blue.
type Colour [3]uint8

// White is the background unless another is asked for.
var White = Colour{255, 255, 255}

// ParseColour reads "#rrggbb" or "#rgb".
func ParseColour(text string) (Colour, error) {
	digits, found := strings.CutPrefix(text, "#")
	v, err := strconv.ParseUint(digits, 16, 32)
	switch {
	case found && err == nil && len(digits) == 6:
		return Colour{uint8(v >> 16), uint8(v >> 8), uint8(v)}, nil
	case found && err == nil && len(digits) == 3:
		return Colour{17 * uint8(v>>8), 17 * uint8(v>>4&15), 17 * uint8(v&15)}, nil
	}
	return Colour{}, fmt.Errorf("%q is not a colour like #ffffff", text)
}

// Fit says how a picture of any size becomes one of a fixed size.
type Fit struct {
	Width, Height int // of the result, pixels

	// Rule is one of record's Resize rules:
	//
	//   - shortest: the shorter side is scaled to Short, the longer in
	//     proportion (rounded down), and the centre cut out, as torchvision's
	//     Resize and CenterCrop do; Background where the picture is smaller;
	//   - squash: both sides are scaled, whatever the proportions;
	//   - letterbox: the whole picture is scaled to fit inside (rounded half
	//     up) and put in the centre on Background.
	Rule  string
	Short int

	Filter     string // one of record's filters
	Background Colour
}

// Validate tells what is wrong with a fit: sizes, the names of rule and filter.
func (f Fit) Validate() error {
	if f.Width < 1 || f.Height < 1 || f.Width > maxSide || f.Height > maxSide {
		return fmt.Errorf("%d×%d pixels is not a size: sides have 1 to %d", f.Width, f.Height, maxSide)
	}
	if _, err := filterNamed(f.Filter); err != nil {
		return err
	}
	switch f.Rule {
	case record.ResizeShortest:
		if f.Short < 1 {
			return fmt.Errorf("a shorter side of %d pixels is not a size", f.Short)
		}
		if f.Short > maxSide {
			return fmt.Errorf("a picture of %d×%d pixels is cut out of one with a shorter side of %d, and the limit is %d: set resize_to, or resize: squash",
				f.Width, f.Height, f.Short, maxSide)
		}
	case record.ResizeSquash, record.ResizeLetterbox:
	default:
		return fmt.Errorf("resize rule %q is not one of %s, %s, %s", f.Rule, record.ResizeShortest, record.ResizeSquash, record.ResizeLetterbox)
	}
	return nil
}

// maxSide bounds the sides of results.
const maxSide = 16384

// placement is where a picture of a certain size comes to lie: it is scaled
// from fromWidth×fromHeight to width×height, of which the part from (left, top)
// on, across×down, goes to (x, y) of the result.
type placement struct {
	fromWidth, fromHeight int
	width, height         int
	left, top             int
	across, down          int
	x, y                  int
}

// place applies the rule to a picture of the given size.
func (f Fit) place(width, height int) (placement, error) {
	p := placement{fromWidth: width, fromHeight: height, width: f.Width, height: f.Height}
	switch f.Rule {
	case record.ResizeShortest:
		short, long := min(width, height), max(width, height)
		p.width, p.height = f.Short, f.Short
		// As in Python: the product is exact, the quotient a float.
		longer := int(float64(f.Short) * float64(long) / float64(short))
		if longer > maxScaled {
			return p, fmt.Errorf("%d×%d pixels are too long and thin", width, height)
		}
		if width > height {
			p.width = longer
		} else {
			p.height = longer
		}
		p.left, p.x, p.across = centre(p.width, f.Width)
		p.top, p.y, p.down = centre(p.height, f.Height)
		return p, nil
	case record.ResizeLetterbox:
		scale := min(float64(f.Width)/float64(width), float64(f.Height)/float64(height))
		p.width = min(max(1, int(math.Floor(scale*float64(width)+0.5))), f.Width)
		p.height = min(max(1, int(math.Floor(scale*float64(height)+0.5))), f.Height)
		p.x, p.y = (f.Width-p.width)/2, (f.Height-p.height)/2
	}
	p.across, p.down = p.width, p.height
	return p, nil
}

// maxScaled bounds the longer side of a picture as if it were scaled whole.
const maxScaled = 1 << 24

// centre cuts size out of the middle of have, or puts have into the middle of
// size: it returns where the cut starts, where it goes, and its length.
// Offsets of cuts are rounded half to even, as Python's round does; the
// padding of a smaller picture is rounded down, as torchvision's is.
func centre(have, size int) (from, to, length int) {
	if have < size {
		return 0, (size - have) / 2, have
	}
	return int(math.RoundToEven(float64(have-size) / 2)), 0, size
}

// fill paints everything outside of the placement.
func (f Fit) fill(out []uint8, p placement) {
	if p.across == f.Width && p.down == f.Height {
		return
	}
	for i := 0; i+2 < len(out); i += 3 {
		copy(out[i:i+3], f.Background[:])
	}
}
