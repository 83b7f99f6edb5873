package nn_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/budget/budgettest"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/nntest"
	"pgregory.net/rapid"
)

// small is a network with a residual block, a gate and a head.
func small(t testing.TB) *nn.Network {
	t.Helper()
	b := nn.NewBuilder()
	x := b.Input("input", 8, 6, 3)
	stem := b.Scope("stem")
	x = stem.Layer("conv", nn.Conv{Out: 4, Kernel: nn.Square(3), Stride: nn.Square(2), Padding: x.Same(nn.Square(3), nn.Square(2))}, x)
	x = stem.Layer("bn", nn.BatchNorm{Epsilon: 1e-3}, x)
	x = stem.Layer("relu", nn.Activation{Function: kernel.ReLU}, x)
	block := b.Scope("block0")
	y := block.Layer("conv", nn.Conv{Out: 4, Kernel: nn.Square(3), Padding: nn.Pad(1), Groups: 4, Bias: true}, x)
	x = block.Layer("add", nn.Add{}, x, y)
	x = b.Layer("pooled", nn.GlobalAveragePool{}, x)
	x = b.Layer("drop", nn.Dropout{Rate: 0.2}, x)
	x = b.Layer("logits", nn.Dense{Out: 10, Bias: true}, x)
	b.Layer("probabilities", nn.Softmax{}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	return net
}

func TestNetworkAnswers(t *testing.T) {
	net := small(t)
	for layer, want := range map[string]nn.Shape{
		"input": {8, 6, 3}, "stem.conv": {4, 3, 4}, "block0.add": {4, 3, 4}, "pooled": {4}, "logits": {10}, "none": nil,
	} {
		if got := net.Shape(layer); !slices.Equal(got, want) {
			t.Errorf("shape of %s is %v, want %v", layer, got, want)
		}
	}
	for name, want := range map[string]string{"stem": "stem.relu", "block0": "block0.add", "stem.bn": "stem.bn", "pooled": "pooled"} {
		if l, ok := net.Find(name); !ok || l.Name != want {
			t.Errorf("Find(%q) = %q, %v; want %q", name, l.Name, ok, want)
		}
	}
	if l, ok := net.Find("block"); ok {
		t.Errorf("Find(block) = %q, want none: it is no scope", l.Name)
	}
	if got, want := net.Scopes(), []string{"input", "stem", "block0", "pooled", "drop", "logits", "probabilities"}; !slices.Equal(got, want) {
		t.Errorf("scopes %v, want %v", got, want)
	}
	if got := net.Output().Name; got != "probabilities" {
		t.Errorf("output is %s", got)
	}
	// stem 4·3·4 × 3·3·3, block 4·3·4 × 3·3, logits 4 × 10.
	if got, want := net.MultiplyAdds(), int64(48*27+48*9+40); got != want {
		t.Errorf("%d multiply-adds, want %d", got, want)
	}
	all, trained := net.ParameterCount()
	if want := int64(4*27 + 16 + 36 + 4 + 50); all != want || trained != want-8 {
		t.Errorf("%d parameters, %d trained; want %d and %d", all, trained, want, want-8)
	}
}

func TestSamePaddingIsThatOfTensorFlow(t *testing.T) {
	for _, c := range []struct {
		size, kernel, stride int
		want                 nn.Padding
	}{
		{224, 3, 2, nn.Padding{0, 0, 1, 1}},
		{225, 3, 2, nn.Padding{1, 1, 1, 1}},
		{112, 3, 1, nn.Padding{1, 1, 1, 1}},
		{56, 5, 2, nn.Padding{1, 1, 2, 2}},
		{7, 1, 2, nn.Padding{}},
	} {
		if got := (nn.Shape{c.size, c.size, 1}).Same(nn.Square(c.kernel), nn.Square(c.stride)); got != c.want {
			t.Errorf("same padding of %d, kernel %d, stride %d is %v, want %v", c.size, c.kernel, c.stride, got, c.want)
		}
	}
}

func TestCutKeepsWhatALayerNeeds(t *testing.T) {
	net, err := small(t).Cut("block0")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range net.Layers() {
		names = append(names, l.Name)
	}
	want := []string{"input", "stem.conv", "stem.bn", "stem.relu", "block0.conv", "block0.add"}
	if !slices.Equal(names, want) {
		t.Errorf("layers %v, want %v", names, want)
	}
	if _, err := net.Cut("logits"); err == nil {
		t.Error("cut at a layer that is not there")
	}
}

func TestMistakesAreRefused(t *testing.T) {
	input := nn.Layer{Name: "input", Op: nn.Input{Shape: nn.Shape{4, 4, 3}}}
	for want, layers := range map[string][]nn.Layer{
		"no layer":                 {},
		"is not an earlier layer":  {input, {Name: "a", Op: nn.Flatten{}, Inputs: []string{"b"}}},
		"used twice":               {input, input},
		"parts joined by dots":     {{Name: "a..b", Op: nn.Input{Shape: nn.Shape{1}}}},
		"takes one input":          {input, {Name: "a", Op: nn.Flatten{}}},
		"must be [height, width":   {input, {Name: "v", Op: nn.Flatten{}, Inputs: []string{"input"}}, {Name: "a", Op: nn.GlobalAveragePool{}, Inputs: []string{"v"}}},
		"does not fit":             {input, {Name: "a", Op: nn.Conv{Out: 1, Kernel: nn.Square(5)}, Inputs: []string{"input"}}},
		"2 groups do not divide":   {input, {Name: "a", Op: nn.Conv{Out: 2, Kernel: nn.Square(1), Groups: 2}, Inputs: []string{"input"}}},
		"must be from 0":           {input, {Name: "a", Op: nn.MaxPool{Kernel: nn.Square(1 << 40)}, Inputs: []string{"input"}}},
		"dimensions must be":       {{Name: "input", Op: nn.Input{Shape: nn.Shape{4, -40, 3}}}},
		"has more than":            {{Name: "input", Op: nn.Input{Shape: nn.Shape{1 << 24, 1 << 24, 1 << 24}}}},
		"output channels":          {input, {Name: "a", Op: nn.Conv{Out: 0, Kernel: nn.Square(1)}, Inputs: []string{"input"}}},
		"must be at least 0":       {input, {Name: "a", Op: nn.Dropout{Rate: 1}, Inputs: []string{"input"}}},
		"epsilon":                  {input, {Name: "a", Op: nn.BatchNorm{Epsilon: float32(math.NaN())}, Inputs: []string{"input"}}},
		"has no op":                {{Name: "a"}},
		"takes two inputs or more": {input, {Name: "a", Op: nn.Add{}, Inputs: []string{"input"}}},
	} {
		if _, err := nn.New(layers); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	b := nn.NewBuilder()
	x := b.Input("input", 4, 4, 3)
	x = b.Layer("dense", nn.Dense{Out: -3}, x)
	b.Layer("later", nn.Softmax{}, x)
	if _, err := b.Network(); err == nil || !strings.Contains(err.Error(), `layer "dense"`) {
		t.Errorf("error %v, want that of the first wrong layer", err)
	}
}

func TestJSONRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		net := nntest.Draw(t)
		text, err := json.Marshal(net)
		if err != nil {
			t.Fatal(err)
		}
		var back nn.Network
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if !reflect.DeepEqual(back.Layers(), net.Layers()) {
			t.Fatalf("read back %v, want %v", back.Layers(), net.Layers())
		}
		again, err := json.Marshal(&back)
		if err != nil || string(again) != string(text) {
			t.Fatalf("written again: %v\n%s\n%s", err, again, text)
		}
	})
}

// The text rests in artifacts: a change here makes trained heads unreadable.
func TestJSONStaysReadable(t *testing.T) {
	const text = `{"layers":[{"name":"features","op":"input","with":{"shape":[4]}},` +
		`{"name":"hidden.dense","op":"dense","inputs":["features"],"with":{"out":3,"bias":true}},` +
		`{"name":"hidden.bn","op":"batch_norm","inputs":["hidden.dense"],"with":{"epsilon":0.001,"momentum":0.99}},` +
		`{"name":"hidden.relu","op":"activation","inputs":["hidden.bn"],"with":{"function":"relu"}},` +
		`{"name":"hidden.dropout","op":"dropout","inputs":["hidden.relu"],"with":{"rate":0.5}},` +
		`{"name":"logits","op":"dense","inputs":["hidden.dropout"],"with":{"out":2,"bias":true}}]}`
	var net nn.Network
	if err := json.Unmarshal([]byte(text), &net); err != nil {
		t.Fatal(err)
	}
	if got, err := json.Marshal(&net); err != nil || string(got) != text {
		t.Errorf("%v\n%s\nwant\n%s", err, got, text)
	}
}

func FuzzNetworkJSON(f *testing.F) {
	text, err := json.Marshal(small(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"layers":[{"name":"a","op":"input","with":{"shape":[-1],"element":"int32"}},{"name":"b","op":"embedding","inputs":["a"],"with":{"count":5,"width":4}},` +
		`{"name":"c","op":"reshape","inputs":["b"],"with":{"shape":[-1,2,2]}},{"name":"d","op":"transpose","inputs":["c"],"with":{"axes":[1,0,2]}},` +
		`{"name":"e","op":"mat_mul","inputs":["d","d"],"with":{"transpose_b":true}}]}`))
	f.Add([]byte(`{"layers":[{"name":"a","op":"input","with":{"shape":[1,2,3]}},{"name":"b","op":"flatten","inputs":["a"]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var net nn.Network
		var err error
		budgettest.Within(t, len(data), func() { err = json.Unmarshal(data, &net) })
		if err != nil {
			return
		}
		for _, l := range net.Layers() {
			if s := net.Shape(l.Name); s.Fixed() && s.Size() < 1 {
				t.Errorf("layer %q has shape %v", l.Name, net.Shape(l.Name))
			}
		}
		net.Parameters()
		net.MultiplyAdds()
		if bound, err := net.Bind(3, 2, 3, 2, 3, 2, 3, 2); err == nil && bound.Fixed() != nil {
			t.Errorf("bound, but %v", bound.Fixed())
		}
	})
}

func TestCheckNamesAllThatIsWrong(t *testing.T) {
	net := small(t)
	w := net.Initialise(1)
	if err := net.Check(w); err != nil {
		t.Fatal(err)
	}
	delete(w, "stem.bn.mean")
	delete(w, "logits.bias")
	w["other"] = nn.Tensor{Shape: nn.Shape{1}, Data: []float32{0}}
	w["stem.conv.weight"] = nn.Tensor{Shape: nn.Shape{4, 3, 3, 4}, Data: make([]float32, 4*3*3*4)}
	w["logits.weight"].Data[3] = float32(math.NaN())
	var e *nn.WeightsError
	if err := net.Check(w); !errors.As(err, &e) {
		t.Fatalf("error %v", err)
	}
	want := nn.WeightsError{
		Missing: []string{"stem.bn.mean", "logits.bias"}, Extra: []string{"other"},
		Misshaped: []string{"stem.conv.weight: shape 4×3×3×4, want 4×3×3×3"}, NotFinite: []string{"logits.weight"},
	}
	if !reflect.DeepEqual(*e, want) {
		t.Errorf("%+v\nwant %+v", *e, want)
	}
}

func TestInitialiseFollowsTheRules(t *testing.T) {
	b := nn.NewBuilder()
	x := b.Input("input", 16, 16, 64)
	x = b.Layer("conv", nn.Conv{Out: 128, Kernel: nn.Square(3), Padding: nn.Pad(1)}, x)
	x = b.Layer("bn", nn.BatchNorm{Epsilon: 1e-3}, x)
	x = b.Layer("relu", nn.Activation{Function: kernel.ReLU}, x)
	x = b.Layer("pooled", nn.GlobalAveragePool{}, x)
	b.Layer("logits", nn.Dense{Out: 400, Bias: true}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	w := net.Initialise(7)
	for name, want := range map[string]float64{"conv.weight": 2.0 / (9 * 64), "logits.weight": 2.0 / (128 + 400), "logits.bias": 0, "bn.beta": 0} {
		if got := meanSquare(w[name].Data); math.Abs(got-want) > 0.03*want {
			t.Errorf("mean square of %s is %v, want %v", name, got, want)
		}
	}
	if got := w["bn.gamma"].Data[5] + w["bn.variance"].Data[5]; got != 2 {
		t.Errorf("gamma and variance sum to %v, want 2", got)
	}
	if !reflect.DeepEqual(w, net.Initialise(7)) {
		t.Error("the same seed gives other weights")
	}
	other := net.Initialise(8)
	if slices.Equal(w["conv.weight"].Data, other["conv.weight"].Data) {
		t.Error("another seed gives the same weights")
	}
	cut, err := net.Cut("conv")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(net.InitialiseFrozen(7)["conv.weight"].Data, cut.InitialiseFrozen(7)["conv.weight"].Data) {
		t.Error("a layer's weights depend on what comes after it")
	}
}

// A deep network with residuals keeps the size of its signal at every depth.
func TestInitialiseFrozenNeitherDiesNorExplodes(t *testing.T) {
	for _, f := range []kernel.Activation{kernel.ReLU, kernel.ReLU6, kernel.SiLU, kernel.HardSwish, kernel.GELU, kernel.Tanh, kernel.GELUTanh, kernel.QuickGELU} {
		b := nn.NewBuilder()
		x := b.Input("input", 64)
		for i := range 40 {
			s := b.Scope(fmt.Sprintf("block%d", i))
			y := s.Layer("dense", nn.Dense{Out: 256}, x)
			y = s.Layer("act", nn.Activation{Function: f}, y)
			y = s.Layer("out", nn.Dense{Out: 64}, y)
			x = s.Layer("add", nn.Add{}, x, y)
		}
		net, err := b.Network()
		if err != nil {
			t.Fatal(err)
		}
		w := net.InitialiseFrozen(3)
		out := nntest.Evaluate(net, w, nntest.Widen(nntest.Input(net, 8, 3)), 8)
		for _, l := range net.Layers() {
			var got float64
			for _, v := range out[l.Name] {
				got += v * v / float64(len(out[l.Name]))
			}
			if d, ok := l.Op.(nn.Dense); ok && d.Out == 64 && (got < 0.2 || got > 5) {
				t.Errorf("%v: mean square of %s is %v, want about 1", f, l.Name, got)
			}
		}
	}
}

func meanSquare(data []float32) float64 {
	sum := 0.0
	for _, x := range data {
		sum += float64(x) * float64(x)
	}
	return sum / float64(len(data))
}

func TestMostTokensIsThatOfThePositions(t *testing.T) {
	sequence := func(op nn.Op) *nn.Network {
		b := nn.NewBuilder()
		b.Layer("moved", op, b.Layer("tokens", nn.Input{Shape: nn.Shape{-1, 4}}))
		net, err := b.Network()
		if err != nil {
			t.Fatal(err)
		}
		return net
	}
	for want, op := range map[int]nn.Op{24: nn.Positions{Count: 24}, 512: nn.Positions{Count: 514, First: 2}, 0: nn.ScaleShift{Shift: true}} {
		if got := sequence(op).MostTokens(); got != want {
			t.Errorf("%v: %d, want %d", op, got, want)
		}
	}
}
