package bench

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/classifier"
	"github.com/tlpipe/tlpipe/internal/record"
)

// model reads a small model of pixels.
func model(context.Context) (*classifier.Classifier, error) {
	const side = 16
	b := nn.NewBuilder()
	x := b.Layer("conv", nn.Conv{Out: 8, Kernel: nn.Pair{3, 3}, Bias: true}, b.Input("image", side, side, 3))
	x = b.Layer("logits", nn.Dense{Out: 3, Bias: true}, b.Layer("pool", nn.GlobalAveragePool{}, x))
	b.Layer("probabilities", nn.Softmax{}, x)
	net, err := b.Network()
	if err != nil {
		return nil, err
	}
	mean, std, channels, _ := record.Normalisation("inception")
	prepared := record.Preprocessing{Height: side, Width: side, Resize: record.ResizeShortest, ResizeTo: 20, Filter: record.FilterBicubic, Channels: channels, Mean: mean, Std: std, Normalise: "inception"}
	return classifier.New(net, net.InitialiseFrozen(4), record.SingleLabelHead("label", []string{"a", "b", "c"}), prepared.Transforms()), nil
}

func TestLatencyOfAModel(t *testing.T) {
	l := Latency{Model: "small", Read: model, Threads: 2, WarmUp: 1, Repeat: 20}
	r, err := l.Measure(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if r.Model != "small" || r.Task != "single_label" || r.Outputs != 3 || r.Height != 16 || r.Width != 16 || r.Repeat != 20 {
		t.Errorf("measured %+v", r)
	}
	for _, p := range []Percentiles{r.Whole, r.Preparation, r.Network} {
		if p.P50 <= 0 || p.P95 < p.P50 || p.P99 < p.P95 {
			t.Errorf("percentiles %+v", p)
		}
	}
	if r.Cold <= r.Load || r.ImagesPerSecond <= 0 || r.WeightBytes < 4*(8*27+8+24+3) || r.ActivationBytes == 0 {
		t.Errorf("measured %+v", r)
	}
}

func TestLatencyThatCannotBeMeasured(t *testing.T) {
	for name, change := range map[string]func(*Latency){
		"no thread":  func(l *Latency) { l.Threads = 0 },
		"no run":     func(l *Latency) { l.Repeat = 0 },
		"no picture": func(l *Latency) { l.Picture = []byte("a text") },
	} {
		l := Latency{Read: model, Threads: 1, Repeat: 1}
		change(&l)
		var wrong *RequestError
		if _, err := l.Measure(context.Background()); !errors.As(err, &wrong) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := (Latency{Read: model, Threads: 1, Repeat: 1}).Measure(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestPercentiles(t *testing.T) {
	var times []float64
	for i := range 100 {
		times = append(times, float64(100-i))
	}
	if got, want := percentiles(times), (Percentiles{50, 95, 99}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
	if got, want := percentiles(slices.Clone(times[:1])), (Percentiles{1, 1, 1}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
}
