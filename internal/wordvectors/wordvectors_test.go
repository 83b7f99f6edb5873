package wordvectors_test

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/wordvectors"
)

// binaryForm is word2vec's, with or without an end of line behind each vector.
func binaryForm(header, end string) string {
	out := []byte(header)
	for i, word := range []string{"the", "cat"} {
		out = append(out, word+" "...)
		for j := range 3 {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(i)+float32(j)/4))
		}
		out = append(out, end...)
	}
	return string(out)
}

func TestFormats(t *testing.T) {
	const rows = "the 0 0.25 0.5\ncat 1 1.25 1.5\n"
	for name, text := range map[string]string{
		"GloVe": rows, "word2vec text": "2 3\n" + rows, "fastText": "2 3\n" + strings.ReplaceAll(rows, "\n", " \n"), "CR LF": strings.ReplaceAll(rows, "\n", "\r\n"),
		"word2vec binary": binaryForm("2 3\n", ""), "word2vec binary with line ends": binaryForm("2 3\n", "\n"),
		"a word twice": rows + "the 9 9 9\n",
	} {
		table, err := wordvectors.Parse(strings.NewReader(text), int64(len(text)), 0)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		places, unknown := table.NewCutter().Cut("The cat's")
		mean := make([]float32, 3)
		if table.Len() != 2 || table.Width != 3 || len(places) != 2 || unknown != 1 || table.Piece(1) != "cat" ||
			!table.Mean(mean, places, nil) || mean[0] != 0.5 || mean[2] != 1 {
			t.Errorf("%s: %d vectors of %d, %v, %d unknown, mean %v", name, table.Len(), table.Width, places, unknown, mean)
		}
	}
	if table, err := wordvectors.Parse(strings.NewReader(rows), 100, 1); err != nil || table.Len() != 1 {
		t.Errorf("at most one word: %v", err)
	}
	if table, err := wordvectors.Parse(strings.NewReader("new york 1 2\nx 1 2\n"), 100, 0); err == nil {
		t.Errorf("%d words of rows of different lengths", table.Len())
	}
}

func TestDamage(t *testing.T) {
	for text, want := range map[string]string{
		"3 2\na 1 2\nb 3 4\n":     "says that there are 3 words, but it has 2",
		"1 2\na 1 2\nb 3 4\n":     "says that there are 1 words, but it has 2",
		binaryForm("1 3\n", "\n"): "says that there are 1 words, but more follow",
		"":                        "EOF",
		"a 1 2\nb 1\n":            "line 2",
		"a 1 x\n":                 `"x" is not a finite number`,
		"a nan 1\n":               "not a finite number",
		"900000000000 300\na":     "are in",
		"2 3\nthe " + "\x00\x00\x80\x7f" + strings.Repeat("\x00", 8): "not finite",
		"2 3\nthe \x00":            "ends early",
		strings.Repeat("a", 2<<20): "not a file of word vectors",
	} {
		if _, err := wordvectors.Parse(strings.NewReader(text), int64(len(text)), 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

// Words that mean alike are near each other, which they are not by chance.
func TestBuiltin(t *testing.T) {
	table, err := wordvectors.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	cosine := func(a, b string) float64 {
		id := func(word string) []float32 { return table.Vector(int(table.Vocabulary().ID(word)) - 2) }
		dot, aa, bb := 0.0, 0.0, 0.0
		for i, x := range id(a) {
			y := id(b)[i]
			dot, aa, bb = dot+float64(x)*float64(y), aa+float64(x)*float64(x), bb+float64(y)*float64(y)
		}
		return dot / math.Sqrt(aa*bb)
	}
	for pair, want := range map[[2]string]float64{{"good", "better"}: 0.7, {"king", "queen"}: 0.7, {"king", "cheese"}: -1} {
		if got := cosine(pair[0], pair[1]); got < want || pair[1] == "cheese" && got > 0.3 {
			t.Errorf("%q: %.4f", pair, got)
		}
	}
	if table.Len() != 20000 || table.Width != 100 || table.Piece(0) != "the" {
		t.Errorf("%d vectors of %d, the first of %q", table.Len(), table.Width, table.Piece(0))
	}
}

// What all vectors share is taken away: the first right singular vector.
func TestCommon(t *testing.T) {
	values := []float32{3, 4, 0, 6, 8, 0.1, 3, 4, -0.1}
	common := wordvectors.Common(values, 3)
	if math.Abs(math.Abs(common[0])-0.6) > 1e-3 || math.Abs(math.Abs(common[1])-0.8) > 1e-3 {
		t.Errorf("direction %v", common)
	}
	wordvectors.RemoveCommon(values[:3], common)
	if math.Hypot(float64(values[0]), float64(values[1])) > 1e-3 {
		t.Errorf("left of it: %v", values[:3])
	}
	if w := wordvectors.SIF([]int64{999, 1}, 1e-3); math.Abs(w[1]-0.5) > 1e-9 || w[0] > 2e-3 {
		t.Errorf("weights %v", w)
	}
	if wordvectors.Common(nil, 3) != nil {
		t.Error("of nothing, a direction")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("2 3\nthe 1 2 3\ncat 4 5 6\n"))
	f.Add([]byte("the 1 2 3\n"))
	f.Add([]byte(binaryForm("2 3\n", "\n")))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := wordvectors.Parse(strings.NewReader(string(data)), int64(len(data)), 0)
		if err == nil && (table.Len() == 0 || table.Len() != table.Vocabulary().Len()) {
			t.Errorf("%d vectors of %d words", table.Len(), table.Vocabulary().Len())
		}
	})
}
