package frozen

import (
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn"
)

// TestEveryOpCompiles holds the table against the list of ops: a row for each, whole, and no other.
func TestEveryOpCompiles(t *testing.T) {
	rows := lowerings()
	for _, op := range nn.Ops() {
		row, ok := rows[op.Kind()]
		switch {
		case !ok:
			t.Errorf("%s has no row", op.Kind())
		case row.lower == nil && row.emit == nil:
			t.Errorf("%s: the row says nothing", op.Kind())
		case row.reduced != nil && (row.reduced.bfloat16 == nil || row.reduced.uint8 == nil):
			t.Errorf("%s is computed with smaller numbers of one type only", op.Kind())
		}
		delete(rows, op.Kind())
	}
	for kind := range rows {
		t.Errorf("there is a row for %s, which is no op", kind)
	}
}
