package nn

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tlpipe/tlpipe/internal/kernel"
)

// Shape is the shape of one example: [height, width, channels], [tokens, features] or [features]. A negative
// number stands for an axis that varies from example to example: equal ones are equal lengths, which
// [Network.Bind] fixes.
type Shape []int

// Size returns the number of elements, of a shape that is [Shape.Fixed].
func (s Shape) Size() int {
	n := 1
	for _, d := range s {
		n *= d
	}
	return n
}

// Channels returns the last dimension.
func (s Shape) Channels() int { return s[len(s)-1] }

// withChannels returns the shape with another last dimension.
func (s Shape) withChannels(n int) Shape {
	out := slices.Clone(s)
	out[len(out)-1] = n
	return out
}

// Fixed tells whether no axis varies.
func (s Shape) Fixed() bool { return !slices.ContainsFunc(s, func(d int) bool { return d < 0 }) }

// parts returns the size of the axes that are fixed, and those that vary, sorted.
func (s Shape) parts() (fixed int, varying []int) {
	fixed = 1
	for _, d := range s {
		if d < 0 {
			varying = append(varying, d)
		} else {
			fixed *= d
		}
	}
	slices.Sort(varying)
	return fixed, varying
}

// bind returns the shape with these lengths of the axes −1, −2, …; further ones stay.
func (s Shape) bind(lengths []int) Shape {
	out := slices.Clone(s)
	for i, d := range out {
		if d < 0 && -d <= len(lengths) {
			out[i] = lengths[-d-1]
		}
	}
	return out
}

// String gives "112×112×32", and "?1×768" where the axis −1 varies.
func (s Shape) String() string {
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = strconv.Itoa(d)
		if d < 0 {
			parts[i] = "?" + strconv.Itoa(-d)
		}
	}
	return strings.Join(parts, "×")
}

// Limits on shapes keep sizes far from overflow, whatever a file claims.
const (
	maxDimension = 1 << 24
	maxElements  = 1 << 31
	maxVarying   = 8 // axes that vary, of one network
)

func (s Shape) check() error {
	if len(s) == 0 {
		return fmt.Errorf("shape has no dimension")
	}
	n := 1
	for _, d := range s {
		if d < -maxVarying || d == 0 || d > maxDimension {
			return fmt.Errorf("shape %v: dimensions must be from 1 to %d, or from -%d to -1 for axes that vary", s, maxDimension, maxVarying)
		}
		if n *= max(d, 1); n > maxElements {
			return fmt.Errorf("shape %v has more than %d elements", s, maxElements)
		}
	}
	return nil
}

// Pair is a height and a width: of a window, a stride, a dilation. The zero Pair stands for 1×1.
type Pair [2]int

// Square returns the Pair n×n.
func Square(n int) Pair { return Pair{n, n} }

// IsZero tells whether the pair was left out.
func (p Pair) IsZero() bool { return p == Pair{} }

func (p Pair) orOne() Pair {
	if p.IsZero() {
		return Pair{1, 1}
	}
	return p
}

// Padding is what is added around an image, in pixels: top, left, bottom, right.
type Padding [4]int

// Pad returns the same padding on all sides.
func Pad(n int) Padding { return Padding{n, n, n, n} }

// IsZero tells whether there is no padding.
func (p Padding) IsZero() bool { return p == Padding{} }

// Same returns the padding of TensorFlow's "same" for an input of this shape: the output has
// ⌈size/stride⌉ positions on each axis, and what is odd comes at the bottom and the right. It
// depends on the input's size, so a network with it is built for one size.
func (s Shape) Same(kernelSize, stride Pair) Padding {
	if len(s) != 3 {
		return Padding{}
	}
	stride = stride.orOne()
	top, bottom := kernel.Same(s[0], kernelSize[0], stride[0], 1)
	left, right := kernel.Same(s[1], kernelSize[1], stride[1], 1)
	return Padding{top, left, bottom, right}
}
