package tflite

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/tlpipe/tlpipe/internal/budget"
)

func example() *Model {
	return &Model{
		Description: "an example", Metadata: []Entry{{"classes", []byte(`["a"]`)}},
		Tensors: []Tensor{
			{Name: "x", Type: Uint8, Shape: []int{1, 2, 2, 3}, Steps: &Steps{Sizes: []float32{0.5}, Zeros: []int64{127}}},
			{Name: "w", Type: Int8, Shape: []int{2, 1, 1, 3}, Data: []byte{1, 2, 3, 255, 254, 253}, Steps: &Steps{Sizes: []float32{1, 2}, Zeros: []int64{0, 0}}},
			{Name: "y", Type: Float32, Shape: []int{1, 2, 2, 2}},
		},
		Operators: []Operator{
			{Code: Conv2D, Version: 3, Inputs: []int{0, 1, -1}, Outputs: []int{2}, Options: Options{Padding: ValidPadding, StrideWidth: 1, StrideHeight: 2, DilationWidth: 1, DilationHeight: 1, Activation: ReLU6Activation}},
			{Code: Softmax, Version: 1, Inputs: []int{2}, Outputs: []int{2}},
			{Code: Gelu, Version: 1, Inputs: []int{2}, Outputs: []int{2}},
		},
		Inputs: []int{0}, Outputs: []int{2},
	}
}

func encoded(t testing.TB, m *Model) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := m.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	m := example()
	back, err := Parse(encoded(t, m), Limits())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(back, m) {
		t.Errorf("read\n%+v, want\n%+v", back, m)
	}
	if Conv2D.String() != "CONV_2D" || Code(9999).String() != "operator 9999" {
		t.Error("operators have other names")
	}
	if _, err := Parse(encoded(t, m), budget.New(budget.Limit{Resource: budget.Items, Most: 5})); !budget.Exceeded(err) {
		t.Errorf("beyond the budget: %v", err)
	}
}

func TestWhatIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(m *Model){
		"input":  func(m *Model) { m.Inputs[0] = 7 },
		"output": func(m *Model) { m.Operators[0].Outputs[0] = -1 },
		"data":   func(m *Model) { m.Tensors[1].Data = m.Tensors[1].Data[1:] },
		"shape":  func(m *Model) { m.Tensors[0].Shape[0] = -1 },
		"steps":  func(m *Model) { m.Tensors[1].Steps.Axis = 3 },
		"zeros":  func(m *Model) { m.Tensors[1].Steps.Zeros = nil },
	} {
		m := example()
		spoil(m)
		if _, err := Parse(encoded(t, m), Limits()); err == nil {
			t.Errorf("%s: it was read", name)
		}
	}
}

// Whatever the bytes are, they are refused or give a model that can be written again.
func FuzzParse(f *testing.F) {
	f.Add(encoded(f, example()))
	f.Add([]byte("\x08\x00\x00\x00TFL3"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data, budget.New(budget.Limit{Resource: budget.Items, Most: 1 << 12}))
		if err != nil {
			return
		}
		if _, err := Parse(encoded(t, m), nil); err != nil {
			t.Errorf("written again it is refused: %v", err)
		}
	})
}
