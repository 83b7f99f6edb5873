package calibration_test

import (
	"math"
	"testing"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/calibration"
)

// pictures are those for a backbone, at a size.
func pictures(t *testing.T, height, width int) []float32 {
	t.Helper()
	b, err := backbone.Find("efficientnet_lite0")
	if err != nil {
		t.Fatal(err)
	}
	p := b.Preprocessing()
	p.Height, p.Width = height, width
	x, err := calibration.Pictures(p)
	if err != nil {
		t.Fatal(err)
	}
	if n := height * width * 3; len(x) == 0 || len(x)%n != 0 {
		t.Fatalf("%d numbers are no pictures of %d", len(x), n)
	}
	return x
}

// Whoever asks gets the same pictures, and no two of them are alike.
func TestPicturesAreFixedAndDiffer(t *testing.T) {
	const height, width = 40, 56
	x, again := pictures(t, height, width), pictures(t, height, width)
	size := height * width * 3
	for i, v := range x {
		if again[i] != v {
			t.Fatalf("number %d is %v and %v", i, v, again[i])
		}
	}
	for i := 0; i < len(x); i += size {
		for j := 0; j < i; j += size {
			var difference float64
			for k := range size {
				difference += math.Abs(float64(x[i+k]-x[j+k])) / float64(size)
			}
			if difference < 0.05 {
				t.Errorf("pictures %d and %d differ by %v", i/size, j/size, difference)
			}
		}
	}
}

// The spectrum of dead leaves falls about as the square of the frequency, as that of photographs does:
// differences between neighbours are small beside those between places far apart.
func TestLeavesAreLikePhotographs(t *testing.T) {
	const side = 128
	x := pictures(t, side, side)
	x = x[len(x)/2:] // the second half are leaves
	apart := func(d int) float64 {
		var sum float64
		var n int
		for i := 0; i+3*d < len(x); i += 3 {
			if i/3%side+d < side {
				v := float64(x[i] - x[i+3*d])
				sum += v * v
				n++
			}
		}
		return sum / float64(n)
	}
	near, far := apart(1), apart(32)
	if ratio := far / near; ratio < 4 || ratio > 60 {
		t.Errorf("squared differences at 32 pixels are %v times those at one", ratio)
	}
}
