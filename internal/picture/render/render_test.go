package render_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/picture/render"
)

const side = 48

// disc is a red disc on a gradient.
func disc() []byte {
	p := make([]byte, 3*side*side)
	for i := range side * side {
		x, y := i%side-side/2, i/side-side/2
		copy(p[3*i:], []byte{byte(120 + 2*x), byte(150 + y), 160})
		if x*x+y*y < side*side/9 {
			copy(p[3*i:], []byte{220, 40, 30})
		}
	}
	return p
}

func mean(p []byte) float64 {
	sum := 0.0
	for _, v := range p {
		sum += float64(v)
	}
	return sum / float64(len(p))
}

// Each effect does what it says, the more the stronger, and nothing at strength 0.
func TestEffects(t *testing.T) {
	apply := func(l render.Look) []byte {
		p := disc()
		l.Apply(p, side, side)
		return p
	}
	if !bytes.Equal(apply(render.Look{}), disc()) {
		t.Error("no effect changes pixels")
	}
	for i, v := range apply(render.Look{Invert: 1}) {
		if v != 255-disc()[i] {
			t.Fatalf("byte %d inverted is %d of %d", i, v, disc()[i])
		}
	}
	drawn := apply(render.Look{Sketch: 1})
	white, dark := 0, 0
	for i := 0; i < len(drawn); i += 3 {
		if drawn[i] != drawn[i+1] || drawn[i] != drawn[i+2] {
			t.Fatal("a drawing has colours")
		}
		if drawn[i] > 230 {
			white++
		}
		if drawn[i] < 215 {
			dark++
		}
	}
	if white < side*side/2 || dark < side {
		t.Errorf("%d of %d pixels are white, %d dark", white, side*side, dark)
	}
	// Noise first, so that there is something to blur.
	grain := apply(render.Look{Noise: 0.1})
	blurred := append([]byte(nil), grain...)
	render.Look{Blur: 0.05}.Apply(blurred, side, side)
	rough := func(p []byte) (sum int) {
		for i := 3; i < len(p); i++ {
			sum += max(int(p[i])-int(p[i-3]), int(p[i-3])-int(p[i]))
		}
		return sum
	}
	if math.Abs(mean(blurred)-mean(grain)) > 1 || rough(blurred) > rough(grain)/2 {
		t.Errorf("blurred: mean %v of %v, roughness %d of %d", mean(blurred), mean(grain), rough(blurred), rough(grain))
	}
	noisy := apply(render.Look{Noise: 0.1})
	squares := 0.0
	for i, v := range noisy {
		d := float64(v) - float64(disc()[i])
		squares += d * d
	}
	if deviation := math.Sqrt(squares/float64(len(noisy))) / 255; deviation < 0.08 || deviation > 0.11 {
		t.Errorf("noise of 0.1 has the deviation %v", deviation)
	}
	blue, warm := apply(render.Look{Cast: 1}), apply(render.Look{Cast: -1})
	if mean(blue) > mean(disc())/1.3 || blue[2] <= blue[0] || warm[2] >= warm[0] {
		t.Errorf("casts: %v and %v of %v", blue[:3], warm[:3], disc()[:3])
	}
	if hot := apply(render.Look{Thermal: 1}); bytes.Equal(hot, disc()) || hot[0] <= hot[2] {
		t.Errorf("false colours begin with %v", hot[:3])
	}
}

// The bytes are the same on every machine: integers alone make them.
func TestBytes(t *testing.T) {
	look := render.Look{Sketch: 0.5, Thermal: 0.3, Invert: 0.2, Cast: 0.4, Blur: 0.02, Noise: 0.05}
	p := disc()
	look.Apply(p, side, side)
	sum := sha256.Sum256(p)
	const want = "c0af0d05ecb65d66"
	if got := hex.EncodeToString(sum[:8]); got != want {
		t.Errorf("the pixels have the digest %s, not %s: raise the revision if that is meant", got, want)
	}
	if got := look.String(); got != "render 1: sketch 0.5, thermal 0.3, invert 0.2, cast 0.4, blur 0.02, noise 0.05" {
		t.Errorf("spelled %q", got)
	}
}

func TestCheck(t *testing.T) {
	for fields, l := range map[string]render.Look{
		"sketch": {Sketch: 2}, "blur": {Blur: -0.1}, "noise": {Noise: math.NaN()}, "": {Cast: -1},
		"invert cast noise": {Sketch: 1, Invert: -1, Cast: 2, Noise: 3},
	} {
		var got []string
		for _, w := range l.Check() {
			got = append(got, w.Field)
		}
		if strings.Join(got, " ") != fields {
			t.Errorf("%+v: %v", l, l.Check())
		}
	}
}
