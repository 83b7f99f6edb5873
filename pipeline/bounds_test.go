package pipeline_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/pipeline"
)

// A few lines of YAML must not stand for more than any pipeline is.
func TestPipelinesThatGrowAreRefused(t *testing.T) {
	doubling := "vars:\n  v0: [x, x, x, x]\n"
	texts := "vars:\n  v0: xxxxxxxxxxxxxxxx\n"
	for i := range 40 {
		doubling += fmt.Sprintf("  v%d: [$(v%[2]d), $(v%[2]d), $(v%[2]d), $(v%[2]d)]\n", i+1, i)
		texts += fmt.Sprintf("  v%d: $(v%[2]d)$(v%[2]d)$(v%[2]d)\n", i+1, i)
	}
	var axes []string
	for i := range 40 {
		axes = append(axes, fmt.Sprintf("a%d: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]", i))
	}
	stages := "stages:\n  s:\n    uses: source\n    matrix: {" + strings.Join(axes, ", ") + "}\n    with: {scale: 3}\n"
	plain := "stages: {s: {uses: source, with: {scale: 3}}}\n"
	for name, c := range map[string]struct{ text, want string }{
		"lists":       {doubling + plain, "stand for more than 1000000 values"},
		"texts":       {texts + plain, "64 MB of text"},
		"matrix":      {stages, "the matrix makes more than 10000 instances"},
		"many values": {"vars: {" + strings.Repeat("a: 1, ", 600_000) + "}\n" + plain, "it may hold more than 1000000 values, which is the limit"},
		"few values":  {"max_values: 50\nvars: {a: [" + strings.Repeat("1, ", 60) + "]}\n" + plain, "max_values: N at the top of the pipeline if it is meant (now 50)"},
		"aliases":     {"max_values: 60\nvars: {a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9], b: [*a, *a, *a, *a, *a, *a]}\n" + plain, "with its aliases filled in it holds more than 60 values"},
		"text":        {"max_values: 20\n# " + strings.Repeat("x", 2000) + "\n" + plain, " bytes of text, the limit is 1280 bytes"},
		"not plain":   {"{max_values: 3_000_000, " + plain[:len(plain)-1] + "}", "write it as a plain number in a line of its own"},
		"deep":        {"vars: {a: " + strings.Repeat("[", 300) + strings.Repeat("]", 300) + "}\n" + plain, "lie more than 200 deep"},
		"mistakes":    {strings.Repeat("k: 1\n", 3000) + plain, "there are more problems, 800 at least"},
		"an axis":     {"stages: {s: {uses: source, matrix: {a: [" + strings.Repeat("x, ", 1) + digits(100_000) + "]}, with: {scale: $(a)}}}\n", "the matrix makes more than 10000 instances"},
		"stages":      {"stages:\n" + manyStages(10_001), "there are 10001 stages, the limit is 10000"},
		"few":         {"max_instances: 2\nstages:\n" + manyStages(3), "there are 3 stages, the limit is 2"},
		"raised":      {"max_instances: 200\n" + stages, "the matrix makes more than 200 instances"},
	} {
		_, err := pipeline.Load("p.yaml", []byte(c.text), newWorld(1).kinds())
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Count(err.Error(), "\n") > 1000 {
			t.Errorf("%s: error %.300v, want one with %q", name, err, c.want)
		}
	}
}

// A mistake in a very long line is shown with what is around it.
func TestLongLinesAreCut(t *testing.T) {
	_, err := pipeline.Load("p.yaml", []byte("stages: {s: {uses: source, with: {scale: 3, "+strings.Repeat("\"ä\": 1, ", 1000)+"}}}\n"), newWorld(1).kinds())
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if len([]rune(line)) > 230 {
			t.Fatalf("a line of %d characters", len([]rune(line)))
		}
	}
}

func digits(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d, ", i)
	}
	return b.String()
}

// What is refused may be allowed.
func TestLimitsCanBeRaised(t *testing.T) {
	text := "vars: {a: [" + digits(500_000) + "], b: $(a)}\nstages: {s: {uses: source, with: {scale: 3}}}\n"
	if _, err := pipeline.Load("p.yaml", []byte(text), newWorld(1).kinds()); err == nil || !strings.Contains(err.Error(), "max_values: N") {
		t.Errorf("by default: %.300v", err)
	}
	if _, err := pipeline.Load("p.yaml", []byte("max_values: 3_000_000\n"+text), newWorld(1).kinds()); err != nil {
		t.Errorf("raised: %.300v", err)
	}
}

func manyStages(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  s%d: {uses: source}\n", i)
	}
	return b.String()
}
