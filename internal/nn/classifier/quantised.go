package classifier

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/quantise"
	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/internal/safetensors"
	"github.com/tlpipe/tlpipe/internal/stored"
)

// Scheme is how the network computes with bytes; nil if it does not.
func (c *Classifier) Scheme() *quantise.Scheme {
	q := c.Description.Quantisation
	if q == nil || q.Weights != record.Int8Tensor {
		return nil
	}
	s := &quantise.Scheme{Ranges: map[string]quantise.Range{}, Float: q.Float}
	for name, r := range q.Ranges {
		s.Ranges[name] = quantise.Range{Low: r[0], High: r[1]}
	}
	return s
}

// Quantise lets the model rest, and compute, by a scheme. The network must be folded. method tells how the ranges were
// found.
func (c *Classifier) Quantise(s *quantise.Scheme, method string) {
	q := &record.Quantisation{Weights: record.Int8Tensor, Ranges: map[string][2]float32{}, Float: s.Float, Method: method}
	for name, r := range s.Ranges {
		q.Ranges[name] = [2]float32{r.Low, r.High}
	}
	c.Description.Quantisation = q
}

// rests tells what the tensor of a parameter rests as.
func (c *Classifier) rests(p nn.Parameter) record.TensorType {
	q := c.Description.Quantisation
	l, _ := c.Network.Find(p.Layer)
	switch {
	case q == nil || p.Role != nn.Weight || !quantise.HasWeight(l.Op):
		return ""
	case q.Weights == record.Int8Tensor && slices.Contains(q.Float, p.Layer):
		return ""
	}
	return q.Weights
}

// tensorsOf reads the tensors of a file. The sizes of the steps of NAME, which is of int8, stand in NAME.steps.
func tensorsOf(f *safetensors.File) ([]record.Tensor, error) {
	const sizesOf = ".steps"
	bytes := map[string]bool{}
	for _, info := range f.Tensors() {
		bytes[info.Name] = info.Type == stored.I8
	}
	var out []record.Tensor
	for _, info := range f.Tensors() {
		if name, ok := strings.CutSuffix(info.Name, sizesOf); ok && bytes[name] {
			continue
		}
		t := record.Tensor{Name: info.Name}
		var err error
		if info.Type != stored.I8 {
			if t.Shape, t.Data, err = f.Float32(info.Name); err != nil {
				return nil, err
			}
			out = append(out, t)
			continue
		}
		shape, steps, err := f.Int8(info.Name)
		if err != nil {
			return nil, err
		}
		_, sizes, err := f.Float32(info.Name + sizesOf)
		if err != nil {
			return nil, err
		}
		if len(shape) == 0 || len(sizes) != shape[0] || len(steps)%max(len(sizes), 1) != 0 {
			return nil, fmt.Errorf("tensor %q of shape %v has %d sizes of steps", info.Name, shape, len(sizes))
		}
		t.Shape, t.Type, t.Data = shape, record.Int8Tensor, stored.Numbers(steps, sizes)
		out = append(out, t)
	}
	return out, nil
}
