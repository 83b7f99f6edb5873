package backbone_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/backbone"
)

// The table of the documentation is what the code says. TLPIPE_UPDATE=1 writes it.
func TestTheTableInTheDocumentationIsTrue(t *testing.T) {
	const path, begin, end = "../../docs/backbones.md", "<!-- table: models", "<!-- end of table -->\n"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	comment, rest, ok2 := strings.Cut(rest, "\n")
	table, after, ok3 := strings.Cut(rest, end)
	if !ok || !ok2 || !ok3 {
		t.Fatalf("%s has no place for the table, from %q to %q", path, begin, end)
	}
	want := markdown(t)
	if table == want {
		return
	}
	if os.Getenv("TLPIPE_UPDATE") == "" {
		t.Fatalf("the table in %s is not what the code says; TLPIPE_UPDATE=1 writes it", path)
	}
	if err := os.WriteFile(path, []byte(before+begin+comment+"\n"+want+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// markdown is a table of all weight sets, the backbones in order of their multiply-adds.
func markdown(t *testing.T) string {
	t.Helper()
	var table strings.Builder
	table.WriteString("| backbone | weights | variant | input | parameters | without classifier | layers | GMAC | top-1 | top-5 | licence |\n")
	table.WriteString("|---|---|---|---|---:|---:|---:|---:|---:|---:|---|\n")
	for _, b := range backbone.All() {
		d, err := b.Describe(0, 0)
		if err != nil {
			t.Fatal(err)
		}
		name := "`" + b.Name + "`"
		var above backbone.Sizes
		for _, w := range d.Weights {
			sizes := "| | | | "
			if w.Sizes != above {
				sizes = fmt.Sprintf("| %s | %s | %d | %.2f ", millions(w.Parameters), millions(w.TrunkParameters), w.Depth, float64(w.MultiplyAdds)/1e9)
			}
			published := func(percent float64) string {
				if percent == 0 {
					return ""
				}
				return fmt.Sprintf("%.1f", percent)
			}
			fmt.Fprintf(&table, "| %s | `%s` | %s | %d×%d %s| %s | %s | %s |\n",
				name, w.Name, w.Variant, w.Preprocessing.Width, w.Preprocessing.Height, sizes, published(w.Top1), published(w.Top5), w.Licence)
			name, above = "", w.Sizes
		}
	}
	return table.String()
}

func millions(n int64) string { return fmt.Sprintf("%.2f M", float64(n)/1e6) }
