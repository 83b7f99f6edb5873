package extract_test

import (
	"math"
	"testing"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/tlpipe/tlpipe/internal/dataset/emoji"
	"github.com/tlpipe/tlpipe/internal/picture"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/pipelinetest"
	"github.com/tlpipe/tlpipe/stages/extract"
)

// emojiPixels are some pictures of the built-in set, prepared as p tells.
func emojiPixels(t testing.TB, p record.Preprocessing, every int) []byte {
	t.Helper()
	set, err := emoji.Open()
	if err != nil {
		t.Fatal(err)
	}
	decoder := picture.NewDecoder()
	preparation, err := picture.Prepare(p.Transforms())
	if err != nil {
		t.Fatal(err)
	}
	size := p.Height * p.Width * 3
	var out []byte
	for i, row := range set.Rows() {
		if i%every != 0 {
			continue
		}
		data, err := set.Read(row.ID)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, make([]byte, size)...)
		if err := preparation.Pixels(decoder, out[len(out)-size:], data); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestReducedPrecisionKeepsTheFeatures holds the features of real pictures in other arithmetic against
// those in float32.
func TestReducedPrecisionKeepsTheFeatures(t *testing.T) {
	p := prepared(t, "efficientnet_lite0", 224, 224)
	in := pictures(t, p, arrow.PrimitiveTypes.Uint8, emojiPixels(t, p, 17))
	exact := features(t, "{backbone: efficientnet_lite0}", 2, in)
	if len(exact) < 20 {
		t.Fatalf("%d pictures", len(exact))
	}
	for precision, want := range map[string]float64{"bf16": 0.999, "int8": 0.99} {
		reduced := features(t, "{backbone: efficientnet_lite0, precision: "+precision+"}", 2, in)
		least, mean := 1.0, 0.0
		for i := range exact {
			c := cosine(exact[i], reduced[i])
			least = min(least, c)
			mean += c / float64(len(exact))
		}
		if least < want || least == 1 {
			t.Errorf("%s: the least cosine similarity is %v, want at least %v", precision, least, want)
		}
		t.Logf("%s: the least cosine similarity of %d pictures is %v, the mean %v", precision, len(exact), least, mean)
	}
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i, x := range a {
		ab += float64(x) * float64(b[i])
		aa += float64(x) * float64(x)
		bb += float64(b[i]) * float64(b[i])
	}
	return ab / math.Sqrt(aa*bb)
}

// Features of one precision must not pass for those of another.
func TestPrecisionIsPartOfTheExtraction(t *testing.T) {
	p := prepared(t, "efficientnet_lite0", 64, 64)
	inputs := map[string][]pipeline.Traits{"images": {{record.PreprocessingKey: p.Encode()}}}
	seen := map[string]string{}
	for _, precision := range []string{"fp32", "bf16", "int8"} {
		out, err := pipelinetest.Stage(t, extract.Kind(), "{precision: "+precision+"}").Check(inputs)
		if err != nil {
			t.Fatal(err)
		}
		made, err := record.ParseExtraction(out["features"][record.ExtractionKey])
		if err != nil || made.Precision != precision {
			t.Errorf("%s: extraction %+v, error %v", precision, made, err)
		}
		seen[out["features"][record.ExtractionKey]] = precision
	}
	if len(seen) != 3 {
		t.Errorf("extractions: %v", seen)
	}
}
