package dataset_test

import (
	"testing"

	"github.com/tlpipe/tlpipe/internal/dataset"
)

func TestMails(t *testing.T) {
	table := list(t, of(dataset.Mails{}))
	counts := map[string]int{}
	for _, row := range table.All {
		counts[row.Label]++
		counts[row.Extra[0]]++
	}
	if counts["ham"] != 1500 || counts["spam"] != 1355 || counts["few"] != 60 || counts["few"]+counts["more"]+counts["test"] != len(table.All) {
		t.Errorf("%d mails: %v", len(table.All), counts)
	}
	readAll(t, table, of(dataset.Mails{}))
	narrowed := of(dataset.Mails{})
	narrowed.Only = map[string][]string{dataset.PartColumn: {"few"}}
	if n := len(list(t, narrowed).All); n != 60 {
		t.Errorf("%d mails of few labels", n)
	}
}
