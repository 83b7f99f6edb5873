package pipeline_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/pipeline"
)

func TestFind(t *testing.T) {
	g := newBench(t, newWorld(1)).load(`
stages:
  rows: {uses: source}
  small: {uses: modulo, from: rows, matrix: {by: [2, 3], other: [x]}, with: {by: $(by)}}
  all: {uses: sum, from: small}
`)
	for _, c := range []struct {
		reference  string
		kind       pipeline.PortKind
		node, port string
		refused    string
	}{
		{"rows", "", "rows", "numbers", ""},
		{"rows.rejects", "", "rows", "rejects", ""},
		{"rows", pipeline.Features, "rows", "numbers", ""},
		{"small[by=3]", "", "small[by=3,other=x]", "numbers", ""},
		{"small[by=3,other=x].numbers", "", "small[by=3,other=x]", "numbers", ""},
		{"all", pipeline.Metrics, "all", "sum", ""},
		{"small", "", "", "", "say which of small[by=2,other=x], small[by=3,other=x]"},
		{"small[by=4]", "", "", "", "no instance [by=4]; it has small[by=2,other=x], small"},
		{"smal", "", "", "", `no stage "smal" (did you mean "small"?)`},
		{"rows.numberz", "", "", "", `no output "numberz" (did you mean "numbers"?)`},
		{"rows", pipeline.Model, "", "", "no output that is model; it gives numbers (features)"},
		{"rows.numbers", pipeline.Model, "", "", "output numbers is features, not model"},
		{"a b", "", "", "", "no reference"},
	} {
		node, port, err := g.Find(c.reference, c.kind)
		if c.refused != "" {
			var usage *pipeline.UsageError
			if !errors.As(err, &usage) || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: error %v, want one with %q", c.reference, err, c.refused)
			}
			continue
		}
		if err != nil || node.Name != c.node || port.Name != c.port {
			t.Errorf("%s: found %v, %v, %v", c.reference, node, port, err)
		}
	}
}
