package nntest

import (
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn"
)

func TestEveryOpHasADefinition(t *testing.T) {
	rows := definitions()
	for _, op := range nn.Ops() {
		if rows[op.Kind()] == nil {
			t.Errorf("%s has no definition", op.Kind())
		}
		delete(rows, op.Kind())
	}
	for kind := range rows {
		t.Errorf("there is a definition of %s, which is no op", kind)
	}
}
