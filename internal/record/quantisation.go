package record

import (
	"fmt"
	"math"
)

// Quantisation tells how the numbers of a stored model rest, and which it rounds as it computes; see package
// nn/quantise.
type Quantisation struct {
	Weights TensorType `json:"weights"` // of convolutions and dense layers: int8, float16, bfloat16
	// Of int8:
	Ranges map[string][2]float32 `json:"ranges,omitempty"` // of the values that rest as bytes, by layer: the least and the greatest number
	Float  []string              `json:"float,omitempty"`  // layers that were left in float32
	Method string                `json:"method,omitempty"` // by which the ranges were found
}

func (q Quantisation) check() error {
	switch q.Weights {
	case Int8Tensor, Float16Tensor, BFloat16Tensor:
	default:
		return fmt.Errorf("weights of type %q are not known", q.Weights)
	}
	for name, r := range q.Ranges {
		if !(r[0] <= 0 && r[1] >= 0) || math.IsInf(float64(r[1]-r[0]), 0) {
			return fmt.Errorf("layer %q: %v … %v is no range of numbers with 0 in it", name, r[0], r[1])
		}
	}
	return nil
}

// GateAttempt is a row of what a quantise stage tells of its gate: a model in bytes held against that in float32 on the rows of
// split val.
type GateAttempt struct {
	Layers    int64   `column:"float_layers"`     // with a weight, left in float32
	Rows      int64   `column:"rows"`             // of split val
	Before    float64 `column:"accuracy_float32"` // or 1, for models that tell no single class
	After     float64 `column:"accuracy_int8"`    // as tlpipe computes
	Rounded   float64 `column:"accuracy_rounded"` // with every value rounded
	Drop      float64 `column:"drop"`             // the greater of the two
	Limit     float64 `column:"drop_limit"`       // upper end of its one-sided interval
	Tolerance float64 `column:"tolerance"`
	Held      bool    `column:"held"`
	Bytes     int64   `column:"bytes"` // of the tensors
	Float32   int64   `column:"bytes_float32"`
	Share     float64 `column:"int8_operations"` // of the multiply-adds, in layers whose weights are bytes
	Left      int64   `column:"bytes_left"`      // those of Bytes that are weights of layers left in float32
	Others    int64   `column:"bytes_others"`    // those that are sizes of steps, biases and other numbers that are always float32
}

// LargestShare is how large an int8 model may be, as a share of its size in float32: a quarter, and step sizes and biases.
const LargestShare = 0.27

// Size tells how large the model is, and why if that is more than [LargestShare] of its size in float32.
func (a GateAttempt) Size() string {
	of := func(bytes int64) float64 { return float64(bytes) / float64(max(a.Float32, 1)) }
	text := fmt.Sprintf("size %.3g of %.3g MB in float32: %.3f", float64(a.Bytes)/1e6, float64(a.Float32)/1e6, of(a.Bytes))
	if of(a.Bytes) <= LargestShare {
		return text
	}
	text += fmt.Sprintf(", more than %.2f. Weights in int8 take %.3f", LargestShare, of(a.Bytes-a.Left-a.Others))
	if a.Left > 0 {
		text += fmt.Sprintf(", those of layers that the gate left in float32 %.3f", of(a.Left))
	}
	return text + fmt.Sprintf(", step sizes, biases and other float32 numbers %.3f", of(a.Others))
}

// String tells of an attempt in one line.
func (a GateAttempt) String() string {
	verdict := "does not hold"
	if a.Held {
		verdict = "holds"
	}
	layers := "layers"
	if a.Layers == 1 {
		layers = "layer"
	}
	return fmt.Sprintf("%d %s in float32: accuracy %.4f in float32, %.4f in int8, %.4f with every value rounded, on %d rows; drop %.4f, at most %.4f of %.4f allowed: the gate %s",
		a.Layers, layers, a.Before, a.After, a.Rounded, a.Rows, a.Drop, a.Limit, a.Tolerance, verdict)
}

// QuantisedLayer is a row of what a quantise stage tells of the layers with weights.
type QuantisedLayer struct {
	Layer       string  `column:"layer"`
	Kind        string  `column:"kind"`
	Type        string  `column:"type"` // that its weight rests as
	Weights     int64   `column:"weights"`
	Low         float64 `column:"low"` // range of what it puts out
	High        float64 `column:"high"`
	Sensitivity float64 `column:"sensitivity"` // not a number where it was not measured
	Why         string  `column:"why"`         // it was left in float32
}
