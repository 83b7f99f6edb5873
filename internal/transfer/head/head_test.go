package head

import (
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn"
)

func TestMapsOfFeatures(t *testing.T) {
	net, err := Linear().Network(nn.Shape{2, 3, 4}, 5, true)
	if err != nil {
		t.Fatal(err)
	}
	if got := net.Shape("standardise"); !slices.Equal(got, nn.Shape{24}) {
		t.Errorf("maps become vectors of shape %v", got)
	}
}
