package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/tlpipe/tlpipe/internal/kerasfile"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/stored"
)

// Of makes the network of a file, which takes pixels as numbers from 0 to 255 where the file takes uint8.
func Of(file *kerasfile.Archive) (*nn.Network, nn.Weights, error) {
	r := &reading{file: file, builder: nn.NewBuilder(), values: map[string]nn.Value{}, tensors: map[string]stored.Tensor{}, weights: nn.Weights{}}
	for _, t := range file.Tensors {
		r.tensors[t.Name] = t
	}
	for _, l := range file.Layers {
		if err := r.layer(l); err != nil {
			return nil, nil, fmt.Errorf("make a network of a model of Keras: layer %q (%s): %w", l.Name, l.Class, err)
		}
	}
	out, ok := r.values[file.Output]
	if !ok {
		return nil, nil, fmt.Errorf("make a network of a model of Keras: its output %q is no layer", file.Output)
	}
	r.builder.Outputs(out)
	net, err := r.builder.Network()
	if err != nil {
		return nil, nil, fmt.Errorf("make a network of a model of Keras: %w", err)
	}
	return net, r.weights, nil
}

// reading is a network in the making.
type reading struct {
	file    *kerasfile.Archive
	builder *nn.Builder
	values  map[string]nn.Value // by layer
	tensors map[string]stored.Tensor
	weights nn.Weights
}

// settings are all that layers have, as far as they are known. What a layer leaves out is Keras's default.
type settings struct {
	BatchShape []*int          `json:"batch_shape"`
	Scale      json.RawMessage `json:"scale"`
	Offset     json.RawMessage `json:"offset"`
	Filters    int             `json:"filters"`
	Units      int             `json:"units"`
	Kernel     nn.Pair         `json:"kernel_size"`
	Pool       nn.Pair         `json:"pool_size"`
	Strides    nn.Pair         `json:"strides"`
	Dilation   nn.Pair         `json:"dilation_rate"`
	Groups     int             `json:"groups"`
	Multiplier int             `json:"depth_multiplier"`
	Padding    json.RawMessage `json:"padding"`
	Cropping   [2][2]int       `json:"cropping"`
	Bias       *bool           `json:"use_bias"`
	Epsilon    float32         `json:"epsilon"`
	Momentum   float32         `json:"momentum"`
	Activation string          `json:"activation"`
	Target     nn.Shape        `json:"target_shape"`
	Dims       []int           `json:"dims"`
	Axis       int             `json:"axis"`
	Rate       float32         `json:"rate"`
}

func (s settings) bias() bool { return s.Bias == nil || *s.Bias }

func (r *reading) layer(l kerasfile.ArchivedLayer) error {
	s := settings{Strides: nn.Pair{1, 1}, Dilation: nn.Pair{1, 1}, Groups: 1, Multiplier: 1, Axis: -1, Padding: json.RawMessage(`"valid"`)}
	if err := json.Unmarshal(l.Config, &s); err != nil {
		return err
	}
	if s.Axis != -1 {
		return fmt.Errorf("axis %d: only the last is known", s.Axis)
	}
	var in []nn.Value
	for _, name := range l.Inputs {
		v, ok := r.values[name]
		if !ok {
			return fmt.Errorf("its input %q is no earlier layer", name)
		}
		in = append(in, v)
	}
	if len(in) == 0 && l.Class != "InputLayer" {
		return errors.New("it has no input")
	}
	v, err := r.value(l, s, in)
	r.values[l.Name] = v
	return err
}

func (r *reading) value(l kerasfile.ArchivedLayer, s settings, in []nn.Value) (nn.Value, error) {
	add := func(op nn.Op) (nn.Value, error) { return r.builder.Layer(l.Name, op, in...), nil }
	switch l.Class {
	case "InputLayer":
		var shape nn.Shape
		for _, d := range s.BatchShape[min(1, len(s.BatchShape)):] {
			if d == nil {
				return nn.Value{}, errors.New("an axis varies")
			}
			shape = append(shape, *d)
		}
		return add(nn.Input{Shape: shape})
	case "Rescaling":
		n := in[0].Shape.Channels()
		scale, err := numbers(s.Scale, n)
		if err != nil {
			return nn.Value{}, err
		}
		shift, err := numbers(s.Offset, n)
		if err != nil {
			return nn.Value{}, err
		}
		return add(nn.Affine{Scale: scale, Shift: shift})
	case "Conv2D", "DepthwiseConv2D":
		return r.conv(l, s, in[0])
	case "Dense":
		v := r.builder.Layer(l.Name, nn.Dense{Out: s.Units, Bias: s.bias()}, in...)
		n := in[0].Shape.Channels()
		return v, r.take(l, s.bias(), []int{n, s.Units}, nn.Shape{s.Units, n})
	case "BatchNormalization":
		scaled := true
		if s.Scale != nil {
			if err := json.Unmarshal(s.Scale, &scaled); err != nil {
				return nn.Value{}, err
			}
		}
		n := in[0].Shape.Channels()
		v := r.builder.Layer(l.Name, nn.BatchNorm{Epsilon: s.Epsilon, Momentum: s.Momentum, Unscaled: !scaled}, in...)
		names := map[nn.Role]string{nn.Beta: "beta", nn.Mean: "moving_mean", nn.Variance: "moving_variance"}
		if scaled {
			names[nn.Gamma] = "gamma"
		}
		return v, r.vectors(l, n, names)
	case "LayerNormalization":
		v := r.builder.Layer(l.Name, nn.LayerNorm{Epsilon: s.Epsilon}, in...)
		return v, r.vectors(l, in[0].Shape.Channels(), map[nn.Role]string{nn.Gamma: "gamma", nn.Beta: "beta"})
	case "Activation":
		f, ok := map[string]kernel.Activation{
			"linear": kernel.None, "relu": kernel.ReLU, "relu6": kernel.ReLU6, "silu": kernel.SiLU, "hard_silu": kernel.HardSwish,
			"sigmoid": kernel.Sigmoid, "tanh": kernel.Tanh, "gelu": kernel.GELU,
		}[s.Activation]
		if !ok {
			return nn.Value{}, fmt.Errorf("the activation %q is not known", s.Activation)
		}
		return add(nn.Activation{Function: f})
	case "Add":
		return add(nn.Add{})
	case "Multiply":
		if n := in[1].Shape; len(n) == 3 && len(in[0].Shape) == 3 && n[0]*n[1] == 1 && !slices.Equal(n, in[0].Shape) {
			in[1] = r.builder.Layer(l.Name+".channels", nn.Flatten{}, in[1])
		}
		return add(nn.Multiply{})
	case "Concatenate":
		return add(nn.Concat{})
	case "MaxPooling2D", "AveragePooling2D":
		padding, err := s.padding(in[0].Shape, s.Pool)
		if l.Class == "MaxPooling2D" {
			return r.builder.Layer(l.Name, nn.MaxPool{Kernel: s.Pool, Stride: s.Strides, Padding: padding}, in...), err
		}
		return r.builder.Layer(l.Name, nn.AveragePool{Kernel: s.Pool, Stride: s.Strides, Padding: padding}, in...), err
	case "GlobalAveragePooling2D":
		return add(nn.GlobalAveragePool{})
	case "ZeroPadding2D":
		var m [2][2]int
		err := json.Unmarshal(s.Padding, &m)
		return r.builder.Layer(l.Name, nn.ZeroPad{Margins: nn.Padding{m[0][0], m[1][0], m[0][1], m[1][1]}}, in...), err
	case "Cropping2D":
		m := s.Cropping
		return add(nn.ZeroPad{Margins: nn.Padding{-m[0][0], -m[1][0], -m[0][1], -m[1][1]}})
	case "Flatten":
		return add(nn.Flatten{})
	case "Reshape":
		return add(nn.Reshape{Shape: s.Target})
	case "Permute":
		axes := slices.Clone(s.Dims)
		for i := range axes {
			axes[i]--
		}
		return add(nn.Transpose{Axes: axes})
	case "Softmax":
		return add(nn.Softmax{})
	case "UnitNormalization":
		return add(nn.L2Normalise{})
	case "Dropout":
		return add(nn.Dropout{Rate: s.Rate})
	}
	return nn.Value{}, errors.New("it is not known")
}

// numbers are one, for all of n channels, or a list of n.
func numbers(text json.RawMessage, n int) ([]float32, error) {
	var one float32
	if json.Unmarshal(text, &one) == nil {
		return slices.Repeat([]float32{one}, n), nil
	}
	var list []float32
	if err := json.Unmarshal(text, &list); err != nil || len(list) != n {
		return nil, fmt.Errorf("%.100s is neither a number nor %d of them", text, n)
	}
	return list, nil
}

// padding is that of a window which spans so many lines and columns.
func (s settings) padding(in nn.Shape, window nn.Pair) (nn.Padding, error) {
	var word string
	if err := json.Unmarshal(s.Padding, &word); err != nil {
		return nn.Padding{}, err
	}
	switch word {
	case "valid":
		return nn.Padding{}, nil
	case "same":
		return in.Same(window, s.Strides), nil
	}
	return nn.Padding{}, fmt.Errorf("the padding %q is not known", word)
}

func (r *reading) conv(l kerasfile.ArchivedLayer, s settings, in nn.Value) (nn.Value, error) {
	padding, err := s.padding(in.Shape, nn.Pair{(s.Kernel[0]-1)*s.Dilation[0] + 1, (s.Kernel[1]-1)*s.Dilation[1] + 1})
	if err != nil {
		return nn.Value{}, err
	}
	channels := in.Shape.Channels()
	op := nn.Conv{Out: s.Filters, Kernel: s.Kernel, Stride: s.Strides, Padding: padding, Dilation: s.Dilation, Groups: s.Groups, Bias: s.bias()}
	shape := []int{s.Kernel[0], s.Kernel[1], channels / max(s.Groups, 1), s.Filters}
	if l.Class == "DepthwiseConv2D" {
		op.Out, op.Groups = channels*s.Multiplier, channels
		shape = []int{s.Kernel[0], s.Kernel[1], channels, s.Multiplier}
	}
	return r.builder.Layer(l.Name, op, in), r.take(l, s.bias(), shape, nn.Shape{op.Out, s.Kernel[0], s.Kernel[1], channels / max(op.Groups, 1)})
}

// take reads a kernel, whose outputs are its last or, of a depthwise one, its last two axes, turned to a shape that begins with them;
// and a bias.
func (r *reading) take(l kerasfile.ArchivedLayer, bias bool, shape []int, to nn.Shape) error {
	data, err := r.tensor(l, "kernel", shape)
	if err != nil {
		return err
	}
	out := to[0]
	each := len(data) / max(out, 1)
	turned := make([]float32, len(data))
	for i, v := range data {
		turned[i%out*each+i/out] = v
	}
	r.weights[l.Name+"."+string(nn.Weight)] = nn.Tensor{Shape: to, Data: turned}
	if !bias {
		return nil
	}
	return r.vectors(l, out, map[nn.Role]string{nn.Bias: "bias"})
}

// vectors reads variables of n numbers.
func (r *reading) vectors(l kerasfile.ArchivedLayer, n int, names map[nn.Role]string) error {
	for role, variable := range names {
		data, err := r.tensor(l, variable, []int{n})
		if err != nil {
			return err
		}
		r.weights[l.Name+"."+string(role)] = nn.Tensor{Shape: nn.Shape{n}, Data: data}
	}
	return nil
}

func (r *reading) tensor(l kerasfile.ArchivedLayer, variable string, shape []int) ([]float32, error) {
	t, ok := r.tensors[l.Name+"/"+variable]
	if !ok || !slices.Equal(t.Shape, shape) {
		return nil, fmt.Errorf("its %s of shape %v is not there", variable, shape)
	}
	return t.Float32()
}
