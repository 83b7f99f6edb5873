package curve_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/curve"
	"github.com/tlpipe/tlpipe/internal/nn/train"
)

// valley falls from 2 to 1 and runs away.
func valley() *train.RateCurve {
	c := &train.RateCurve{Steepest: 1e-4, Valley: 1e-3}
	for i := range 60 {
		rate := 1e-6 * math.Pow(10, float64(i)/10)
		loss := 1 + 1/(1+rate*1e4)
		if rate > 0.1 {
			loss = 40
		}
		c.Points = append(c.Points, train.RatePoint{Rate: rate, Loss: loss, Smoothed: loss})
	}
	return c
}

func TestText(t *testing.T) {
	text := curve.Text(valley())
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) != 12+3+2 || !strings.Contains(lines[15], "valley: 1.00e-03") || !strings.Contains(lines[16], "steepest: 1.00e-04") {
		t.Errorf("got\n%s", text)
	}
	// It begins at the left, falls to the lowest line, and ends at the top.
	if !strings.Contains(lines[11], "•") || !strings.HasSuffix(lines[0], "•") || strings.Index(lines[11], "•") < 30 {
		t.Errorf("got\n%s", text)
	}
	if got := curve.Text(&train.RateCurve{}); got != "no step was taken\n" {
		t.Error(got)
	}
	one := &train.RateCurve{Points: valley().Points[:1], Steepest: math.NaN(), Valley: math.NaN()}
	if got := curve.Text(one); strings.Count(got, "•") != 1 || strings.Contains(got, "valley") {
		t.Error(got)
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	one := &train.RateCurve{Points: valley().Points[:1], Steepest: math.NaN(), Valley: 1}
	if err := curve.File(filepath.Join(dir, "one.svg"), "net", one); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"a.svg", "a.png"} {
		if err := curve.File(filepath.Join(dir, name), "net <&>", valley()); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := os.ReadFile(filepath.Join(dir, "a.png"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := png.Decode(bytes.NewReader(raw)); err != nil {
		t.Error(err)
	}
	if raw, err = os.ReadFile(filepath.Join(dir, "a.svg")); err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(raw)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Contains(raw, []byte("steepest")) {
		t.Error("the suggestion is not in the drawing")
	}
	for _, path := range []string{"a.pdf", filepath.Join(dir, "nosuch", "a.svg")} {
		if err := curve.File(path, "net", valley()); err == nil {
			t.Errorf("%s was written", path)
		}
	}
}
