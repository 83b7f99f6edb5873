package backbone_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/kerasfile"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/stored"
	"github.com/tlpipe/tlpipe/internal/weightfile"
)

const likeLSTM = `{"layers":[{"embedding":3},{"lstm":2,"bidirectional":true,"sequences":true},{"gru":3},{"dense":2}]}`

// What PyTorch's model gives with its weights (testdata/lstm.py), the network gives with them; and with Keras' forms of the same.
func TestRecurrentWeightsFromFiles(t *testing.T) {
	net, err := backbone.Name(likeLSTM).TokenNetwork(7, 3)
	if err != nil {
		t.Fatal(err)
	}
	file, err := weightfile.Open("testdata/lstm.pt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, tensors := range map[string][]stored.Tensor{"PyTorch": file.Tensors, "Keras": asKeras(t, file.Tensors)} {
		weights := net.Initialise(1)
		loaded, missing, err := backbone.LoadTokens(net, tensors, nil, weights)
		if err != nil || len(loaded) != 5 || len(missing) != 0 {
			t.Errorf("%s: loaded %v, missing %v: %v", name, loaded, missing, err)
			continue
		}
		program, err := frozen.Compile(net, weights)
		if err != nil {
			t.Fatal(err)
		}
		out := make([]float32, 2)
		err = program.NewSession(8).RunSequences(nil, []int{5}, nn.Batch{backbone.TokenInput: {Int32: []int32{1, 5, 2, 6, 3}}}, nn.Batch{net.Output().Name: {Float32: out}})
		if err != nil || math.Abs(float64(out[0])-0.06718765199184418) > 1e-6 || math.Abs(float64(out[1])+0.4902192950248718) > 1e-6 {
			t.Errorf("%s: %v, %v", name, out, err)
		}
	}
	other, err := backbone.Name(strings.Replace(likeLSTM, `"gru":3`, `"gru":4`, 1)).TokenNetwork(7, 3)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := backbone.LoadTokens(other, file.Tensors, nil, other.Initialise(1)); err == nil || !strings.Contains(err.Error(), "layer gru1, of gru l0 in the file: weight_ih has the shape [9 4], the network's has [12 4]") {
		t.Errorf("another shape: %v", err)
	}
}

// What Keras gives for padded texts, which its embedding masks, the network gives with the weights in its files
// (testdata/make_keras_recurrent.py), without padding.
func TestRecurrentModelsOfKeras(t *testing.T) {
	raw, err := os.ReadFile("testdata/recurrent/outputs.json")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][][]float32{}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	const old = `{"layers":[{"embedding":3},{"lstm":2,"sequences":true,"gates":"hard_sigmoid"},{"gru":3,"gates":"hard_sigmoid"},{"dense":2}]}`
	for _, c := range []struct {
		file, model, network string
		silent               bool // of what it computes with its weights
	}{
		{"keras3.keras", "keras3", likeLSTM, false},
		{"keras3.h5", "keras3", likeLSTM, false},
		{"keras3.weights.h5", "keras3", likeLSTM, true},
		{"keras2.h5", "keras2", old, false},
	} {
		net, weights, said, err := loadedFrom(t, c.network, c.file)
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		if silent := len(said.Layers) == 0; silent != c.silent || said.Unmasked {
			t.Errorf("%s says %+v", c.file, said)
		}
		program, err := frozen.Compile(net, weights)
		if err != nil {
			t.Fatal(err)
		}
		for i, ids := range [][]int32{{1, 5, 2, 6, 3}, {4, 6}} {
			out := make([]float32, 2)
			err := program.NewSession(8).RunSequences(nil, []int{len(ids)}, nn.Batch{backbone.TokenInput: {Int32: ids}}, nn.Batch{net.Output().Name: {Float32: out}})
			if err != nil {
				t.Fatal(err)
			}
			for j, x := range want[c.model][i] {
				if !(math.Abs(float64(out[j]-x)) <= 1e-5) {
					t.Errorf("%s: %v, Keras gives %v", c.file, out, want[c.model][i])
					break
				}
			}
		}
	}
	for _, c := range []struct{ file, network, want string }{
		{"keras2.h5", strings.ReplaceAll(old, `,"gates":"hard_sigmoid"`, ""), "write gates: hard_sigmoid in that layer"},
		{"keras3.keras", strings.ReplaceAll(likeLSTM, `"lstm":2`, `"lstm":2,"gates":"hard_sigmoid"`), "write gates: sigmoid in that layer"},
		{"other_gates.keras", `{"layers":[{"embedding":3},{"lstm":2,"gates":"hard_sigmoid"}]}`, "hard_sigmoid of Keras 3"},
		{"relu.keras", `{"layers":[{"embedding":3},{"lstm":2}]}`, "its activation is relu: only tanh is supported"},
	} {
		if _, _, _, err := loadedFrom(t, c.network, c.file); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.file, err, c.want)
		}
	}
	if _, _, said, err := loadedFrom(t, `{"layers":[{"embedding":3},{"lstm":2}]}`, "relu.keras"); err == nil || !said.Unmasked {
		t.Error("an embedding without a mask was not told")
	}
}

// loadedFrom builds a network with the weights of a file of testdata/recurrent.
func loadedFrom(t *testing.T, network, file string) (*nn.Network, nn.Weights, kerasfile.RecurrentModel, error) {
	t.Helper()
	path := "testdata/recurrent/" + file
	net, err := backbone.Name(network).TokenNetwork(7, 3)
	if err != nil {
		t.Fatal(err)
	}
	said, _, err := kerasfile.ReadRecurrent(path)
	if err != nil {
		t.Fatal(err)
	}
	in, err := weightfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	weights := net.Initialise(1)
	_, missing, err := backbone.LoadTokens(net, in.Tensors, said.Layers, weights)
	if len(missing) > 0 {
		t.Errorf("%s has nothing for %v", file, missing)
	}
	return net, weights, said, err
}

// asKeras writes tensors as Keras has them.
func asKeras(t *testing.T, tensors []stored.Tensor) (out []stored.Tensor) {
	t.Helper()
	numbers := map[string][]float32{}
	shapes := map[string][]int{}
	for _, x := range tensors {
		data, err := x.Float32()
		if err != nil {
			t.Fatal(err)
		}
		numbers[x.Name], shapes[x.Name] = slices.Clone(data), x.Shape
	}
	add := func(name string, data []float32, shape ...int) {
		raw := []byte{}
		for _, x := range data {
			raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(x))
		}
		out = append(out, stored.Tensor{Name: name, Type: stored.F32, Shape: shape, Content: stored.Raw(raw)})
	}
	swap := func(data []float32, gru bool) []float32 { // the blocks of reset and update
		if !gru {
			return data
		}
		block := len(data) / 3
		return slices.Concat(data[block:2*block], data[:block], data[2*block:])
	}
	transposed := func(data []float32, shape []int) []float32 {
		var back []float32
		for j := range shape[1] {
			for i := range shape[0] {
				back = append(back, data[i*shape[1]+j])
			}
		}
		return back
	}
	add("embedding/embeddings", numbers["embedding.weight"], 7, 3)
	for _, layer := range []struct{ keras, torch, end string }{{"forward_lstm", "lstm", "_l0"}, {"backward_lstm", "lstm", "_l0_reverse"}, {"gru", "gru", "_l0"}} {
		gru := layer.keras == "gru"
		for _, kernel := range [][2]string{{"kernel", "weight_ih"}, {"recurrent_kernel", "weight_hh"}} {
			name := layer.torch + "." + kernel[1] + layer.end
			shape := shapes[name]
			add(layer.keras+"/"+kernel[0], transposed(swap(numbers[name], gru), shape), shape[1], shape[0])
		}
		in, state := numbers[layer.torch+".bias_ih"+layer.end], numbers[layer.torch+".bias_hh"+layer.end]
		if gru {
			add("gru/bias", slices.Concat(swap(in, true), swap(state, true)), 2, len(in))
			continue
		}
		sum := slices.Clone(in)
		for i := range sum {
			sum[i] += state[i]
		}
		add(layer.keras+"/bias", sum, len(sum))
	}
	add("dense/kernel", transposed(numbers["dense.weight"], shapes["dense.weight"]), 3, 2)
	add("dense/bias", numbers["dense.bias"], 2)
	return out
}
