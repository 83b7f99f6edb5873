package method_test

import (
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/domain/method"
)

func TestTitles(t *testing.T) {
	linear, half := method.Of(method.MMD), 0.5
	linear.Estimator = "linear"
	light := linear
	light.Weight = &half
	got := method.Titles([]method.Method{method.Of(method.Direct), method.Of(method.MMD), linear, light, method.Of(method.DANN), method.Of(method.DANN), method.Of(method.DANN)})
	want := []string{"direct", "mmd, estimator biased, weight 1", "mmd, estimator linear, weight 1", "mmd, estimator linear, weight 0.5", "dann", "dann (2)", "dann (3)"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
