package encoder_test

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/encoder"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/adapter"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/nn/train"
	"github.com/tlpipe/tlpipe/internal/nn/train/objective"
	"github.com/tlpipe/tlpipe/internal/nn/train/optimizer"
	"github.com/tlpipe/tlpipe/internal/nn/train/schedule"
)

// texts are tokens of texts in classes, padded to the longest.
type texts [][]int32

func (t texts) Len() int                 { return len(t) }
func (t texts) Lengths([]int, int) []int { return []int{11} }

func (t texts) Read(positions []int, into train.Batch) error {
	ids := into.Inputs[encoder.Input].Int32
	for i, p := range positions {
		into.Lengths[i] = copy(ids[i*11:(i+1)*11], t[p])
		into.Targets[objective.Class].Int32[i] = int32((p*p + 1) % 3)
	}
	return nil
}

// Fine-tuning follows transformers' for 30 steps, of all layers and of low-rank adapters; testdata/make_training.py made the losses.
func TestFineTunesAsTransformersDoes(t *testing.T) {
	raw, err := os.ReadFile("testdata/training.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Texts      texts
		Full, LoRA []float64
	}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	e, err := encoder.Open("testdata/bert", encoder.PoolingOfFolder)
	if err != nil {
		t.Fatal(err)
	}
	trunk, err := e.Trunk(0)
	if err != nil {
		t.Fatal(err)
	}
	weights, err := e.Load(trunk)
	if err != nil {
		t.Fatal(err)
	}
	classifier := func(trunk *nn.Network, w nn.Weights) (*nn.Network, nn.Weights) {
		layers := append(trunk.Layers(), nn.Layer{Name: "logits", Op: nn.Dense{Out: 3, Bias: true}, Inputs: []string{trunk.Output().Name}},
			nn.Layer{Name: "probabilities", Op: nn.Softmax{}, Inputs: []string{"logits"}})
		net, err := nn.New(layers)
		if err != nil {
			t.Fatal(err)
		}
		w = w.Select(trunk)
		w["logits.weight"], w["logits.bias"] = nn.Tensor{Shape: nn.Shape{3, 12}, Data: make([]float32, 36)}, nn.Tensor{Shape: nn.Shape{3}, Data: make([]float32, 3)}
		return net, w
	}
	follow := func(net *nn.Network, w nn.Weights, losses []float64, freeze func(string) bool) nn.Weights {
		if len(losses) != 30 {
			t.Fatalf("transformers took %d steps", len(losses))
		}
		trainer, err := train.New(net, w, train.Options{
			Epochs: 30, BatchSize: 8, Threads: 2, Rule: optimizer.DefaultAdamW(), Rate: 5e-3, Decay: 0.01, Schedule: schedule.Linear(0.1), Freeze: freeze,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := trainer.Close(); err != nil {
				t.Error(err)
			}
		}()
		err = trainer.Run(context.Background(), want.Texts, nil, func(e train.Epoch) error {
			if loss := losses[e.Number-1]; math.Abs(e.Loss-loss) > 1e-3*loss {
				t.Errorf("step %d: loss %v, transformers has %v", e.Number, e.Loss, loss)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return trainer.Last()
	}
	net, w := classifier(trunk, weights)
	follow(net, w, want.Full, nil)

	var beside []string
	for _, l := range trunk.Layers() {
		if strings.HasSuffix(l.Name, ".query") || strings.HasSuffix(l.Name, ".value") {
			beside = append(beside, l.Name)
		}
	}
	adapted, aw, err := adapter.LowRank{Rank: 2, Alpha: 4}.Apply(trunk, weights, beside, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, layer := range beside {
		down := aw[layer+".adapter.down.weight"].Data
		for j := range down {
			down[j] = float32(float64((29*j+3+i)%67-33) / 67)
		}
	}
	net, w = classifier(adapted, aw)
	learned := follow(net, w, want.LoRA, func(layer string) bool { return layer != "logits" && !adapter.Added(layer) })

	// Merged, the network gives the same logits.
	merged, mw, err := adapter.Merge(net, learned)
	if err != nil {
		t.Fatal(err)
	}
	logits := func(net *nn.Network, w nn.Weights) []float32 {
		program, err := frozen.Compile(net, w, "logits")
		if err != nil {
			t.Fatal(err)
		}
		out := make([]float32, 3)
		ids := want.Texts[1]
		if err := program.NewSession(16).RunSequences(nil, []int{len(ids)}, nn.Batch{encoder.Input: {Int32: ids}}, nn.Batch{"logits": {Float32: out}}); err != nil {
			t.Fatal(err)
		}
		return out
	}
	plain, apart := logits(merged, mw), logits(net, learned)
	for i := range plain {
		if math.Abs(float64(plain[i]-apart[i])) > 1e-5*(1+math.Abs(float64(apart[i]))) {
			t.Errorf("merged, the logits are %v, apart %v", plain, apart)
		}
	}
}

// What is fine-tuned is the encoder of each family: with dropout, which inference ignores, and without the normalisation.
func TestTrunksAreTheEncoders(t *testing.T) {
	ids := []int32{2, 39, 38, 6, 14, 9, 21, 3}
	for _, family := range []string{"bert", "roberta", "distilbert"} {
		e, err := encoder.Open("testdata/"+family, encoder.PoolingOfFolder)
		if err != nil {
			t.Fatal(err)
		}
		compute := func(net *nn.Network, err error) []float32 {
			if err == nil {
				err = e.CheckWeights(net)
			}
			if err != nil {
				t.Fatal(err)
			}
			w, err := e.Load(net)
			if err != nil {
				t.Fatal(err)
			}
			program, err := frozen.Compile(net, w)
			if err != nil {
				t.Fatal(err)
			}
			out := make([]float32, e.Sizes.Width)
			if err := program.NewSession(16).RunSequences(nil, []int{len(ids)}, nn.Batch{encoder.Input: {Int32: ids}}, nn.Batch{encoder.Pooled: {Float32: out}}); err != nil {
				t.Fatal(err)
			}
			return out
		}
		trunk, want := compute(e.Trunk(0.1)), compute(e.Network(encoder.Pooled))
		scale := float64(1)
		if family == "bert" { // its folder normalises
			sum := 0.0
			for _, x := range trunk {
				sum += float64(x) * float64(x)
			}
			scale = math.Sqrt(sum)
		}
		for i := range want {
			if math.Abs(float64(trunk[i])/scale-float64(want[i])) > 1e-5 {
				t.Errorf("%s: the trunk gives %v, the encoder %v", family, trunk, want)
				break
			}
		}
	}
	e, err := encoder.Open("testdata/bert", "cls")
	if err != nil {
		t.Fatal(err)
	}
	e.Sizes.Wide++
	net, err := e.Trunk(0)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.CheckWeights(net); err == nil || !strings.Contains(err.Error(), "encoder.layer.0.intermediate.dense.weight: shape 20×12, want 21×12") {
		t.Errorf("weights of another width: %v", err)
	}
}
