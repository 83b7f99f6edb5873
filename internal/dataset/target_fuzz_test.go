package dataset

import (
	"math"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/record"
)

// Whatever stands in a cell is read, or rejected with a reason.
func FuzzTarget(f *testing.F) {
	for _, text := range []string{"", "a;b", "[", `["a"]`, "1e308", "1", "no", "nan", "0x1p-2", "1_0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, target := range []Target{
			{Classes: "c", Separator: ";"}, {Classes: "c"}, {Flags: []string{"c", "d"}}, {Numbers: []string{"c", "d"}},
		} {
			table := &Table{part: []int32{0, 0}, Rows: Rows{
				Extra: []string{"c", "d"},
				All:   []Row{{ID: "fixed", Extra: []string{"1", "0"}}, {ID: "drawn", Extra: []string{text, "1"}}},
			}}
			if err := table.SetTarget(target); err != nil {
				t.Fatal(err)
			}
			rec := table.Record()
			c, err := record.NewTargetColumn(rec, record.Target)
			if err != nil || len(table.All)+len(table.Rejects) != 2 {
				t.Fatal(err, table.Rejects)
			}
			for i := range int(rec.NumRows()) {
				if c.Known(i) && c.Task == record.Regression && slices.ContainsFunc(c.Numbers(i), func(x float64) bool { return math.IsInf(x, 0) }) {
					t.Fatalf("an infinite number of %q", text)
				}
			}
			rec.Release()
		}
	})
}
