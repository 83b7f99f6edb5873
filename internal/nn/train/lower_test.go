package train

import (
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn"
)

// TestEveryOpIsTrainedOrRefused holds the table against the list of ops: a row for each, which says how it
// is trained or why it is not, and no other.
func TestEveryOpIsTrainedOrRefused(t *testing.T) {
	rows := lowerings()
	for _, op := range nn.Ops() {
		row, ok := rows[op.Kind()]
		if !ok {
			t.Errorf("%s has no row", op.Kind())
		} else if (row.node == nil) == (row.refusal == "") {
			t.Errorf("%s: the row must say how it is trained, or why not", op.Kind())
		}
		delete(rows, op.Kind())
	}
	for kind := range rows {
		t.Errorf("there is a row for %s, which is no op", kind)
	}
}
