package weights_test

import (
	"encoding/binary"
	"encoding/json"
	"slices"
	"testing"

	"github.com/tlpipe/tlpipe/internal/backbone/weights"
)

func TestEfficientNetLite0IsWhole(t *testing.T) {
	file := weights.EfficientNetLite0()
	if len(file) > 10_000_000 {
		t.Errorf("%d bytes, want 10 MB at most", len(file))
	}
	size := binary.LittleEndian.Uint64(file)
	type entry struct {
		Type    string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	var header map[string]json.RawMessage
	if err := json.Unmarshal(file[8:8+size], &header); err != nil {
		t.Fatal(err)
	}
	var metadata map[string]string
	if err := json.Unmarshal(header["__metadata__"], &metadata); err != nil {
		t.Fatal(err)
	}
	if metadata["architecture"] != "efficientnet_lite0" || metadata["license"] != "Apache-2.0" {
		t.Errorf("metadata %v", metadata)
	}
	delete(header, "__metadata__")

	tensors := map[string]entry{}
	spans := [][2]int{}
	for name, raw := range header {
		var e entry
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		elements := 1
		for _, n := range e.Shape {
			elements *= n
		}
		if e.Type != "F16" || e.Offsets[1]-e.Offsets[0] != 2*elements {
			t.Errorf("%s: %+v", name, e)
		}
		tensors[name] = e
		spans = append(spans, e.Offsets)
	}
	slices.SortFunc(spans, func(a, b [2]int) int { return a[0] - b[0] })
	end := 0
	for _, span := range spans {
		if span[0] != end {
			t.Errorf("gap or overlap at %d", end)
		}
		end = span[1]
	}
	if got := len(file) - 8 - int(size); got != end {
		t.Errorf("%d bytes of tensors, the header tells of %d", got, end)
	}
	if len(tensors) != 247 {
		t.Errorf("%d tensors, want 247", len(tensors))
	}
	for name, shape := range map[string][]int{
		"_conv_stem.weight":                {32, 3, 3, 3},
		"_blocks.3._depthwise_conv.weight": {144, 1, 5, 5},
		"_blocks.15._project_conv.weight":  {320, 1152, 1, 1},
		"_blocks.15._bn2.running_var":      {320},
		"_conv_head.weight":                {1280, 320, 1, 1},
		"_fc.weight":                       {1000, 1280},
		"_fc.bias":                         {1000},
	} {
		if got := tensors[name].Shape; !slices.Equal(got, shape) {
			t.Errorf("%s: shape %v, want %v", name, got, shape)
		}
	}
}

func TestImageNetClasses(t *testing.T) {
	classes := weights.ImageNetClasses()
	if len(classes) != 1000 {
		t.Fatalf("%d classes, want 1000", len(classes))
	}
	seen := map[string]bool{}
	for i, class := range classes {
		if class == "" || seen[class] {
			t.Errorf("class %d: %q is empty or there twice", i, class)
		}
		seen[class] = true
	}
	for i, want := range map[int]string{0: "tench", 281: "tabby", 967: "espresso", 999: "toilet tissue"} {
		if classes[i] != want {
			t.Errorf("class %d is %q, want %q", i, classes[i], want)
		}
	}
}
