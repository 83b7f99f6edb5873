package emit_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/internal/deploy"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/fold"
	"github.com/tlpipe/tlpipe/internal/nn/nntest"
	"github.com/tlpipe/tlpipe/internal/nn/quantise"
	"github.com/tlpipe/tlpipe/internal/nn/simulate"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/tflite"
	"github.com/tlpipe/tlpipe/internal/tflite/emit"
	"github.com/tlpipe/tlpipe/internal/tflite/evaluate"
)

// read writes a file and reads it again.
func read(m *deploy.Model, o emit.Options) (*evaluate.Program, error) {
	file, err := emit.Model(m, o)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := file.Write(&b); err != nil {
		return nil, err
	}
	back, err := tflite.Parse(b.Bytes(), tflite.Limits())
	if err != nil {
		return nil, err
	}
	return evaluate.New(back, nil)
}

func model(net *nn.Network, w nn.Weights) *deploy.Model {
	in := net.Inputs()[0]
	names := make([]string, net.Shape(net.Output().Name).Size())
	for i := range names {
		names[i] = strings.Repeat("a", i%97) + strings.Repeat("b", i/97)
	}
	return &deploy.Model{
		Network: net, Weights: w, Head: record.RegressionHead("numbers", names),
		Description: record.Description{Version: record.ModelVersion, Inputs: []record.ModelInput{{Name: in.Name, Shape: net.Shape(in.Name)}}},
	}
}

// A file of any network, read again and computed by the operators' definitions, gives what the network does; in int8, what the
// simulation of its scheme does.
func TestFilesComputeWhatNetworksDo(t *testing.T) {
	written := 0
	rapid.Check(t, func(t *rapid.T) {
		net := nntest.Draw(t)
		w := nntest.Weights(net, rapid.Uint64().Draw(t, "seed"))
		net, w, err := fold.Fold(net, w)
		if err != nil {
			t.Fatal(err)
		}
		x := nntest.Input(net, 1, 1)
		want := nntest.Evaluate(net, w, nntest.Widen(x), 1)[net.Output().Name]
		p, err := read(model(net, w), emit.Options{})
		if err != nil {
			if !strings.Contains(err.Error(), "have no operators for it") {
				t.Fatal(err)
			}
			t.Skip()
		}
		got, err := p.Run(nil, x)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			if math.Abs(float64(got[i])-want[i]) > 1e-3*(1+math.Abs(want[i])) {
				t.Fatalf("number %d is %v, want %v", i, got[i], want[i])
			}
		}
		written++

		s, err := simulate.New(net, w, nil)
		if err != nil {
			t.Fatal(err)
		}
		scheme := &quantise.Scheme{}
		if scheme.Ranges, err = s.Ranges(context.Background(), simulate.InMemory(x, 1), simulate.Calibration{Method: simulate.MinMax}); err != nil {
			t.Fatal(err)
		}
		p, err = read(model(net, w), emit.Options{Scheme: scheme})
		if err != nil {
			t.Fatal(err)
		}
		inBytes, err := p.Run(nil, x)
		if err != nil {
			t.Fatal(err)
		}
		simulated, err := s.Run(context.Background(), x, 1, scheme, nil)
		if err != nil {
			t.Fatal(err)
		}
		var error2, size2, size float64
		for i, v := range simulated {
			error2 += float64(inBytes[i]-v) * float64(inBytes[i]-v)
			size2 += float64(v) * float64(v)
			size = max(size, math.Abs(want[i]))
		}
		if error2 > 0.01*size2+0.01*size*size+1e-6 { // roundings that lie on an edge go either way
			t.Fatalf("in bytes %v, simulated %v", inBytes, simulated)
		}
	})
	if written == 0 {
		t.Error("no file was written")
	}
}

// Pixels go in as bytes in RGB, in float32 and in int8, whatever the normalisation.
func TestPixels(t *testing.T) {
	b := nn.NewBuilder()
	x := b.Input("image", 2, 2, 3)
	b.Layer("flat", nn.Flatten{}, x)
	net, err := b.Network()
	if err != nil {
		t.Fatal(err)
	}
	pixels := []uint8{1, 2, 3, 0, 0, 0, 255, 0, 0, 0, 0, 4}
	for name, p := range map[string]*deploy.Pixels{
		"bgr":      {Height: 2, Width: 2, Scale: [3]float32{1, 2, 3}, Shift: [3]float32{-1, 0, 1}, BGR: true},
		"in steps": {Height: 2, Width: 2, Scale: [3]float32{1. / 128, 1. / 128, 1. / 128}, Shift: [3]float32{-127. / 128, -127. / 128, -127. / 128}},
	} {
		m := model(net, nn.Weights{})
		m.Pixels = p
		want := p.Input(pixels)
		r := quantise.Range{}
		for _, v := range want {
			r = r.With(quantise.Range{Low: min(v, 0), High: max(v, 0)})
		}
		for _, scheme := range []*quantise.Scheme{nil, {Ranges: map[string]quantise.Range{"image": r, "flat": r}}} {
			program, err := read(m, emit.Options{Scheme: scheme})
			if err != nil {
				t.Fatal(err)
			}
			got, err := program.Run(pixels, nil)
			if err != nil {
				t.Fatal(err)
			}
			tolerance := float64(r.High-r.Low) * 1e-6
			if scheme != nil {
				tolerance = float64(r.Steps().Size) * 0.51
			}
			for i := range want {
				if math.Abs(float64(got[i]-want[i])) > tolerance {
					t.Errorf("%s, in bytes %v: %v, want %v", name, scheme != nil, got, want)
					break
				}
			}
		}
	}
	if _, err := read(model(net, nn.Weights{}), emit.Options{Scheme: &quantise.Scheme{}}); err == nil {
		t.Error(errors.New("a scheme without ranges was taken"))
	}
}
