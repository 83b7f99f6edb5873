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
		"lists":  {doubling + plain, "stand for more than 1000000 values"},
		"texts":  {texts + plain, "64 MB of text"},
		"matrix": {stages, "the matrix makes more than 10000 instances"},
		"raised": {"max_instances: 200\n" + stages, "the matrix makes more than 200 instances"},
	} {
		_, err := pipeline.Load("p.yaml", []byte(c.text), newWorld(1).kinds())
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Count(err.Error(), "\n") > 6 {
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
