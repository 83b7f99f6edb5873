package emit

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/tlpipe/tlpipe/internal/deploy"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/quantise"
	"github.com/tlpipe/tlpipe/internal/stored"
	"github.com/tlpipe/tlpipe/internal/tflite"
)

// Options say how.
type Options struct {
	Float16 bool             // weights of float16
	Scheme  *quantise.Scheme // int8; nil: none
	Version string           // of the program, for the file's description
}

// Model makes the file of a model.
func Model(m *deploy.Model, o Options) (*tflite.Model, error) {
	if m.Tokens != nil {
		return nil, errors.New("TensorFlow Lite files of tlpipe take no texts: export the model as onnx")
	}
	if err := m.Network.Fixed(); err != nil {
		return nil, fmt.Errorf("write TensorFlow Lite: %w", err)
	}
	if o.Scheme != nil {
		if err := o.Scheme.Check(m.Network); err != nil {
			return nil, fmt.Errorf("write TensorFlow Lite: %w", err)
		}
	}
	e := &emission{model: m, options: o, net: m.Network, rounding: o.Scheme.Rounding(m.Network), bounded: quantise.Bounded(m.Network), values: map[string]*value{}}
	e.fused = map[string]string{}
	for from, act := range e.bounded {
		e.fused[act] = from
	}
	for _, l := range m.Network.Layers() {
		if err := e.layer(l); err != nil {
			return nil, fmt.Errorf("write TensorFlow Lite: layer %q (%s): %w", l.Name, l.Op.Kind(), err)
		}
		e.rest(l)
	}
	out := e.as(m.Network.Output().Name, nil)
	e.file.Tensors[out].Name = m.OutputName()
	e.file.Outputs = []int{out}
	e.file.Description = "tlpipe " + o.Version
	var err error
	e.file.Metadata, err = e.metadata()
	return &e.file, err
}

// emission is a file in the making.
type emission struct {
	model    *deploy.Model
	options  Options
	net      *nn.Network
	rounding map[string]quantise.Steps // of values that rest as bytes
	bounded  map[string]string         // layers to the bounds that they are one with
	fused    map[string]string         // the other way round
	file     tflite.Model
	values   map[string]*value // by layer
}

// value is what a layer puts out: a tensor in steps, in others, in float32, as far as they were needed.
type value struct {
	shape nn.Shape
	made  int             // tensor
	steps *quantise.Steps // of made; nil: float32
	other map[string]int  // tensors, by steps in words
}

func inWords(s *quantise.Steps) string {
	if s == nil {
		return "float32"
	}
	return fmt.Sprint(*s)
}

// tensor adds one and returns its number.
func (e *emission) tensor(t tflite.Tensor) int {
	e.file.Tensors = append(e.file.Tensors, t)
	return len(e.file.Tensors) - 1
}

// activation adds a tensor that an operator makes, in steps or in float32.
func (e *emission) activation(name string, shape nn.Shape, s *quantise.Steps) int {
	t := tflite.Tensor{Name: name, Type: tflite.Float32, Shape: append([]int{1}, shape...)}
	if s != nil {
		t.Type, t.Steps = tflite.Int8, &tflite.Steps{Sizes: []float32{s.Size}, Zeros: []int64{int64(s.Zero)}}
	}
	return e.tensor(t)
}

func (e *emission) operator(code tflite.Code, inputs []int, output int, options tflite.Options) {
	version := 1
	if e.file.Tensors[output].Type == tflite.Int8 {
		switch code {
		case tflite.Conv2D, tflite.DepthwiseConv2D:
			version = 3
		case tflite.FullyConnected:
			version = 4
		case tflite.Reshape, tflite.HardSwish:
		default:
			version = 2
		}
	}
	if code == tflite.Dequantize {
		version = 2
		if e.file.Tensors[inputs[0]].Type == tflite.Float16 {
			version = 3
		}
	}
	e.file.Operators = append(e.file.Operators, tflite.Operator{Code: code, Version: version, Inputs: inputs, Outputs: []int{output}, Options: options})
}

// as is a value in steps, or in float32.
func (e *emission) as(layer string, s *quantise.Steps) int {
	v := e.values[layer]
	key := inWords(s)
	if key == inWords(v.steps) {
		return v.made
	}
	if t, ok := v.other[key]; ok {
		return t
	}
	t := e.activation(layer+"."+strings.Trim(strings.ReplaceAll(key, " ", "_"), "{}"), v.shape, s)
	code := tflite.Quantize
	if s == nil {
		code = tflite.Dequantize
	}
	e.operator(code, []int{v.made}, t, nil)
	if v.other == nil {
		v.other = map[string]int{}
	}
	v.other[key] = t
	return t
}

// own is a value in the steps that it rests in, or in float32 if it does not rest as bytes.
func (e *emission) own(layer string) (int, *quantise.Steps) {
	if s, ok := e.rounding[layer]; ok {
		return e.as(layer, &s), &s
	}
	return e.as(layer, nil), nil
}

// stepsOf are those of what a layer puts out.
func (e *emission) stepsOf(l nn.Layer) *quantise.Steps {
	if !e.options.Scheme.Computes(l) {
		return nil
	}
	name := l.Name
	if act, ok := e.bounded[name]; ok {
		name = act
	}
	if s, ok := e.rounding[name]; ok {
		return &s
	}
	return nil
}

// put makes a tensor the value of a layer.
func (e *emission) put(l nn.Layer, tensor int, s *quantise.Steps) {
	e.values[l.Name] = &value{shape: e.net.Shape(l.Name), made: tensor, steps: s}
}

// rest lets the value of a layer of float32 rest as bytes, if it does.
func (e *emission) rest(l nn.Layer) {
	v := e.values[l.Name]
	if s, ok := e.rounding[l.Name]; ok && v.steps == nil {
		e.put(l, e.as(l.Name, &s), &s)
	}
}

// makes adds the tensor that a layer puts out, and returns it with its steps.
func (e *emission) makes(l nn.Layer) (int, *quantise.Steps) {
	s := e.stepsOf(l)
	t := e.activation(l.Name, e.net.Shape(l.Name), s)
	e.put(l, t, s)
	return t, s
}

// fusedActivation is the bound that a layer is one with.
func (e *emission) fusedActivation(l nn.Layer) int {
	act, ok := e.bounded[l.Name]
	if !ok {
		return tflite.NoActivation
	}
	bound, _ := e.net.Find(act)
	switch bound.Op.(nn.Activation).Function {
	case kernel.ReLU:
		return tflite.ReLUActivation
	case kernel.ReLU6:
		return tflite.ReLU6Activation
	}
	return tflite.NoActivation
}

// Constants.

func (e *emission) floats(name string, shape []int, data []float32) int {
	if e.options.Float16 && len(data) >= 16 {
		raw := make([]byte, 0, 2*len(data))
		for _, v := range data {
			raw = binary.LittleEndian.AppendUint16(raw, stored.Float16(v))
		}
		half := e.tensor(tflite.Tensor{Name: name + ".float16", Type: tflite.Float16, Shape: shape, Data: raw})
		wide := e.tensor(tflite.Tensor{Name: name, Type: tflite.Float32, Shape: shape})
		e.operator(tflite.Dequantize, []int{half}, wide, nil)
		return wide
	}
	raw := make([]byte, 0, 4*len(data))
	for _, v := range data {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return e.tensor(tflite.Tensor{Name: name, Type: tflite.Float32, Shape: shape, Data: raw})
}

func (e *emission) ints(name string, shape []int, data []int32, s *tflite.Steps) int {
	raw := make([]byte, 0, 4*len(data))
	for _, v := range data {
		raw = binary.LittleEndian.AppendUint32(raw, uint32(v))
	}
	return e.tensor(tflite.Tensor{Name: name, Type: tflite.Int32, Shape: shape, Data: raw, Steps: s})
}

func (e *emission) bytes(name string, shape []int, steps []int8, sizes []float32, axis int) int {
	raw := make([]byte, len(steps))
	for i, v := range steps {
		raw[i] = byte(v)
	}
	return e.tensor(tflite.Tensor{Name: name, Type: tflite.Int8, Shape: shape, Data: raw, Steps: &tflite.Steps{Sizes: sizes, Zeros: make([]int64, len(sizes)), Axis: axis}})
}

// weightAndBias adds those of a layer whose input rests in steps.
func (e *emission) weightAndBias(layer string, shape []int, axis int, w quantise.Weighted, input quantise.Steps) (weight, bias int) {
	weight = e.bytes(layer+".weight", shape, w.Steps, w.Sizes, axis)
	scales := w.BiasSizes(input)
	return weight, e.ints(layer+".bias", []int{len(scales)}, w.Bias, &tflite.Steps{Sizes: scales, Zeros: make([]int64, len(scales))})
}

// metadata names classes and tells what else there is to know.
func (e *emission) metadata() ([]tflite.Entry, error) {
	classes, err := json.Marshal(e.model.Head.Names())
	if err != nil {
		return nil, err
	}
	described, err := e.model.Description.Encode()
	if err != nil {
		return nil, err
	}
	entries := []tflite.Entry{{Name: "classes", Data: classes}, {Name: "task", Data: []byte(e.model.Head.Task)}, {Name: "description", Data: []byte(described)}}
	if licences := e.model.Description.LicencesInWords(); licences != "" {
		entries = append(entries, tflite.Entry{Name: "licences", Data: []byte(licences)})
	}
	return entries, nil
}

// errNoOperator is for layers that files cannot hold.
var errNoOperator = errors.New("TensorFlow Lite files of tlpipe have no operators for it; ONNX has")
