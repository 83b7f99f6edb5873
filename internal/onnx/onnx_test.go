package onnx

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/tlpipe/tlpipe/internal/budget"
)

func example() *Model {
	t := Float32s("w", []int{2, 2}, []float32{1, -2, 3, 0.5})
	return &Model{
		IRVersion: 8, Opsets: []Opset{{"", 17}, {"ai.example", 1}}, Producer: "tlpipe", ProducerVersion: "1", Doc: "an example",
		Metadata: []Entry{{"classes", `["a","b"]`}, {"empty", ""}},
		Graph: Graph{
			Name: "g",
			Nodes: []Node{
				{Name: "first", Operator: "Gemm", Inputs: []string{"x", "w", ""}, Outputs: []string{"y"}, Attributes: []Attribute{
					Int("transB", 1), Int("zero", 0), Int("negative", -3), Float("alpha", 0.5), Ints("axes", 1, -1), String("mode", "constant"),
					{Name: "t", Type: TensorAttribute, Tensor: &t}, {Name: "f", Type: FloatsAttribute, Floats: []float32{1, 2}},
					{Name: "s", Type: StringsAttribute, Strings: [][]byte{[]byte("a"), []byte("b")}},
				}},
				{Operator: "Custom", Domain: "ai.example", Inputs: []string{"y"}, Outputs: []string{"z"}},
			},
			Initializers: []Tensor{t, Int64s("shape", []int{2}, 1, -1), Int32s("b", nil, []int32{-7}), Int8s("q", []int{3}, []int8{-127, 0, 127}), Uint8s("u", []int{1}, []uint8{255}),
				{Name: "typed", Type: Float32, Shape: []int64{2}, Floats: []float32{4, 5}},
				{Name: "half", Type: Float16, Shape: []int64{1}, Int32s: []int32{0x3c00}},
				{Name: "double", Type: Float64, Shape: []int64{1}, Doubles: []float64{0.25}},
			},
			Inputs:  []ValueInfo{{Name: "x", Type: Uint8, Known: true, Shape: []Dimension{{Name: "n"}, {Length: 2}}}},
			Outputs: []ValueInfo{{Name: "z", Type: Float32, Known: true}},
			Values:  []ValueInfo{{Name: "y"}},
		},
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
	want := map[string][]float32{"w": {1, -2, 3, 0.5}, "typed": {4, 5}, "half": {1}, "double": {0.25}}
	whole := map[string][]int64{"shape": {1, -1}, "b": {-7}, "q": {-127, 0, 127}, "u": {255}}
	for _, tensor := range back.Graph.Initializers {
		if w, ok := want[tensor.Name]; ok {
			if got, err := tensor.Float32(); err != nil || !reflect.DeepEqual(got, w) {
				t.Errorf("%s is %v, %v", tensor.Name, got, err)
			}
			continue
		}
		if got, err := tensor.Int64(); err != nil || !reflect.DeepEqual(got, whole[tensor.Name]) {
			t.Errorf("%s is %v, %v", tensor.Name, got, err)
		}
		if _, err := tensor.Float32(); err == nil {
			t.Errorf("%s was read as float32", tensor.Name)
		}
	}
	if back.Opset("") != 17 || back.Opset("ai.example") != 1 || back.Opset("other") != 0 {
		t.Errorf("opsets %v", back.Opsets)
	}
	n := &back.Graph.Nodes[0]
	if a := n.Attribute("negative"); a == nil || a.Int != -3 || n.Attribute("none") != nil {
		t.Errorf("attributes %v", n.Attributes)
	}
	if n.String() != `node "first" (Gemm)` || back.Graph.Nodes[1].String() != `the node that makes "z" (Custom)` {
		t.Errorf("nodes are named %s, %s", n, &back.Graph.Nodes[1])
	}
}

func TestTensorsWithoutTheirNumbers(t *testing.T) {
	for _, tensor := range []Tensor{
		{Type: Float32, Shape: []int64{3}, Raw: make([]byte, 8)},
		{Type: Float32, Shape: []int64{3}, Floats: make([]float32, 2)},
		{Type: Float32, Shape: []int64{-1}},
		{Type: Float32, Shape: []int64{1 << 40, 1 << 40}, Raw: []byte{}},
		{Type: Float32, Shape: []int64{1 << 20, 1 << 9}},
		{Type: Text, Shape: []int64{1}, Raw: make([]byte, 4)},
		{Type: Int64, Shape: []int64{1}, Int32s: []int32{1}, External: true},
	} {
		if got, err := tensor.Float32(); err == nil {
			t.Errorf("%+v gave %v", tensor, got)
		}
		if got, err := tensor.Int64(); err == nil {
			t.Errorf("%+v gave %v", tensor, got)
		}
	}
}

func TestABudgetEndsReading(t *testing.T) {
	data := encoded(t, example())
	if _, err := Parse(data, budget.New(budget.Limit{Resource: budget.Items, Most: 20})); !budget.Exceeded(err) {
		t.Errorf("error %v", err)
	}
	for n := range data {
		if n%7 == 0 {
			_, _ = Parse(data[:n], Limits())
		}
	}
}

// Whatever the bytes are, they are refused or give a model that can be written again.
func FuzzParse(f *testing.F) {
	f.Add(encoded(f, example()))
	f.Add([]byte("\x08\x08\x42\x02\x10\x11"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse(data, budget.New(budget.Limit{Resource: budget.Items, Most: 1 << 16}))
		if err != nil {
			return
		}
		for i := range m.Graph.Initializers {
			_, _ = m.Graph.Initializers[i].Float32()
			_, _ = m.Graph.Initializers[i].Int64()
		}
		again, err := Parse(encoded(t, m), nil)
		if err != nil {
			t.Fatalf("written again it is refused: %v", err)
		}
		if len(again.Graph.Nodes) != len(m.Graph.Nodes) || len(again.Graph.Initializers) != len(m.Graph.Initializers) {
			t.Error("written again it is another model")
		}
	})
}
