package render

import (
	"fmt"
	"math"
	"strings"
)

// Look is what is done to a picture, in this order. What is 0 is not done.
type Look struct {
	Sketch  float64 // 0 … 1: towards a pencil drawing, lines where the brightness changes on white paper
	Thermal float64 // 0 … 1: towards the false colours of a thermal camera, from black over violet, red and yellow to white
	Invert  float64 // 0 … 1: towards the negative
	Cast    float64 // −1 … 1: colour cast, red and green fade and all darkens above 0 (a blue night), blue fades below 0 (lamp light)
	Blur    float64 // 0 … 0.25: standard deviation of a blur, as a share of the picture's height
	Noise   float64 // 0 … 1: standard deviation of noise in each channel, as a share of the full range
}

// Wrong is a strength out of range.
type Wrong struct {
	Field string // in lower case
	Why   string
}

// Check returns all that is wrong with the strengths.
func (l Look) Check() (wrong []Wrong) {
	for _, f := range l.fields() {
		if math.IsNaN(f.value) || f.value < f.low || f.value > f.high {
			wrong = append(wrong, Wrong{f.name, fmt.Sprintf("%v is not within %v … %v", f.value, f.low, f.high)})
		}
	}
	return wrong
}

// String spells all that decides the result, "" if nothing is done.
func (l Look) String() string {
	var out []string
	for _, f := range l.fields() {
		if f.value != 0 {
			out = append(out, fmt.Sprintf("%s %v", f.name, f.value))
		}
	}
	if out == nil {
		return ""
	}
	return revision + ": " + strings.Join(out, ", ")
}

// revision changes with the bytes that a look makes.
const revision = "render 1"

type field struct {
	name             string
	value, low, high float64
}

func (l Look) fields() []field {
	return []field{
		{"sketch", l.Sketch, 0, 1}, {"thermal", l.Thermal, 0, 1}, {"invert", l.Invert, 0, 1}, {"cast", l.Cast, -1, 1},
		{"blur", l.Blur, 0, 0.25}, {"noise", l.Noise, 0, 1},
	}
}

// Apply changes the pixels, [height][width][3] bytes in RGB, in place.
func (l Look) Apply(pixels []byte, height, width int) {
	if len(pixels) != 3*height*width {
		panic(fmt.Sprintf("render: %d bytes for a picture of %d×%d", len(pixels), height, width))
	}
	if l.Sketch > 0 {
		sketch(pixels, height, width, fixed(l.Sketch))
	}
	if l.Thermal > 0 {
		strength := fixed(l.Thermal)
		for i := 0; i < len(pixels); i += 3 {
			colour := heat(grey(pixels[i:]))
			for c := range 3 {
				pixels[i+c] = towards(pixels[i+c], colour[c], strength)
			}
		}
	}
	if l.Invert > 0 {
		strength := fixed(l.Invert)
		for i, p := range pixels {
			pixels[i] = towards(p, 255-p, strength)
		}
	}
	if l.Cast != 0 {
		cast(pixels, l.Cast)
	}
	if l.Blur > 0 {
		for c := range 3 {
			plane := make([]int32, height*width)
			for i := range plane {
				plane[i] = int32(pixels[3*i+c]) << precision
			}
			blur(plane, height, width, radius(l.Blur*float64(height)))
			for i, v := range plane {
				pixels[3*i+c] = level(int(v+half) >> precision)
			}
		}
	}
	if l.Noise > 0 {
		noise(pixels, l.Noise)
	}
}

// Numbers with a fraction have so many bits behind the point.
const (
	precision = 8
	one       = 1 << precision
	half      = one / 2
)

func fixed(x float64) int { return int(math.Round(x * one)) }

// towards goes from one level to another by a strength from 0 to one.
func towards(from, to byte, strength int) byte {
	return byte((int(from)*(one-strength) + int(to)*strength + half) >> precision)
}

func level(x int) byte { return byte(min(max(x, 0), 255)) }

// grey is the luma of ITU-R BT.601.
func grey(rgb []byte) byte {
	return byte((299*int(rgb[0]) + 587*int(rgb[1]) + 114*int(rgb[2]) + 500) / 1000)
}

// sketch divides the brightness by that of the surroundings ("colour dodge"), which leaves edges on white.
func sketch(pixels []byte, height, width, strength int) {
	light := make([]int32, height*width)
	for i := range light {
		light[i] = int32(grey(pixels[3*i:])) << precision
	}
	around := append([]int32(nil), light...)
	blur(around, height, width, radius(float64(height)/40))
	for i, l := range light {
		line := level(int(l) * 255 / max(int(around[i]), 1))
		line = level(255 - 2*(255-int(line))) // a darker pencil
		for c := range 3 {
			pixels[3*i+c] = towards(pixels[3*i+c], line, strength)
		}
	}
}

// heat is the false colour of a brightness.
func heat(light byte) [3]byte {
	stops := [...][3]int{{0, 0, 20}, {80, 10, 120}, {200, 40, 80}, {250, 150, 10}, {255, 255, 210}}
	const span = 64
	at, rest := int(light)/span, int(light)%span
	var out [3]byte
	for c := range 3 {
		out[c] = byte((stops[at][c]*(span-rest) + stops[at+1][c]*rest) / span)
	}
	return out
}

// cast weakens channels.
func cast(pixels []byte, strength float64) {
	gain := [3]int{fixed(1 - 0.75*strength), fixed(1 - 0.6*strength), fixed(1 - 0.2*strength)}
	if strength < 0 {
		gain = [3]int{one, fixed(1 + 0.3*strength), fixed(1 + 0.8*strength)}
	}
	for i, p := range pixels {
		pixels[i] = byte((int(p)*gain[i%3] + half) >> precision)
	}
}

// radius of a box that blurs, three times over, about as a Gaussian of that standard deviation does.
func radius(deviation float64) int {
	return max(1, int(math.Round((math.Sqrt(4*deviation*deviation+1)-1)/2)))
}

// blur averages over boxes three times, rows and columns; beyond the border stands the border.
func blur(plane []int32, height, width, radius int) {
	line := make([]int32, max(height, width))
	for range 3 {
		for y := range height {
			box(plane[y*width:], 1, width, radius, line)
		}
		for x := range width {
			box(plane[x:], width, height, radius, line)
		}
	}
}

func box(values []int32, step, n, radius int, line []int32) {
	at := func(i int) int64 { return int64(line[min(max(i, 0), n-1)]) }
	for i := range n {
		line[i] = values[i*step]
	}
	var sum int64
	for i := -radius; i <= radius; i++ {
		sum += at(i)
	}
	size := int64(2*radius + 1)
	for i := range n {
		values[i*step] = int32((sum + size/2) / size)
		sum += at(i+radius+1) - at(i-radius)
	}
}

// noise adds numbers that are about normally distributed: sums of eight bytes. They follow from the pixels.
func noise(pixels []byte, deviation float64) {
	state := uint64(14695981039346656037)
	for _, p := range pixels {
		state = (state ^ uint64(p)) * 1099511628211 // FNV-1a
	}
	const mean, spread = 8 * 255 / 2, 209.0 // of the sum
	scale := int(math.Round(deviation * 255 / spread * (1 << 16)))
	for i, p := range pixels {
		state += 0x9e3779b97f4a7c15 // SplitMix64
		z := state
		z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
		z = (z ^ z>>27) * 0x94d049bb133111eb
		z ^= z >> 31
		sum := 0
		for ; z > 0; z >>= 8 {
			sum += int(z & 255)
		}
		pixels[i] = level(int(p) + ((sum-mean)*scale+1<<15)>>16)
	}
}
