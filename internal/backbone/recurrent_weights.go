package backbone

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/kerasfile"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/stored"
)

// LoadTokens puts the tensors of a file that PyTorch or Keras wrote into the weights of a network for texts. Layers of the file are
// embeddings, LSTMs, GRUs and dense layers, in its order; each layer of the network takes the next one of its kind. It returns the
// layers that were loaded, and those that the file has nothing for. What does not fit is an error. said is what the file says of its
// recurrent layers; nil if it says nothing.
func LoadTokens(net *nn.Network, tensors []stored.Tensor, said []kerasfile.RecurrentLayer, into nn.Weights) (loaded, missing []string, err error) {
	all := storedLayers(tensors)
	for _, l := range net.Layers() {
		kind := ""
		switch op := l.Op.(type) {
		case nn.Embedding:
			kind = "embedding"
		case nn.Dense:
			kind = "dense"
		case nn.Recurrent:
			kind = op.Cell.String()
		default:
			continue
		}
		at := slices.IndexFunc(all, func(s *storedLayer) bool { return s.kind(kind) })
		if at < 0 {
			missing = append(missing, l.Name)
			continue
		}
		found := all[at]
		all = slices.Delete(all, at, at+1)
		err := found.load(net, l, into)
		if op, ok := l.Op.(nn.Recurrent); ok && err == nil {
			if at := slices.IndexFunc(said, func(s kerasfile.RecurrentLayer) bool { return s.Cell == kind }); at >= 0 {
				err = sameFunctions(op, said[at])
				said = slices.Delete(slices.Clone(said), at, at+1)
			}
		}
		if err != nil {
			return nil, nil, fmt.Errorf("layer %s, of %s in the file: %w", l.Name, found.name, err)
		}
		loaded = append(loaded, l.Name)
	}
	if len(loaded) == 0 {
		return nil, nil, fmt.Errorf("none of its %d tensors belongs to a layer of the kinds that the network has", len(tensors))
	}
	return loaded, missing, nil
}

// sameFunctions tells why a layer of Keras does not compute what the network's does with the same weights.
func sameFunctions(op nn.Recurrent, said kerasfile.RecurrentLayer) error {
	gates := "sigmoid"
	if op.HardSigmoid {
		gates = kerasfile.HardSigmoid
	}
	switch {
	case said.Activation != "tanh":
		return fmt.Errorf("its activation is %s: only tanh is supported", said.Activation)
	case said.Gates == gates:
		return nil
	case said.Gates == "sigmoid" || said.Gates == kerasfile.HardSigmoid:
		return fmt.Errorf("its gates have the activation %s, the network's have %s: write gates: %[1]s in that layer", said.Gates, gates)
	}
	return fmt.Errorf("its gates have the activation %s: only sigmoid, and hard_sigmoid of Keras before 3, are supported", said.Gates)
}

// storedLayer is the tensors of a layer as a file has them, by what they are: PyTorch's names without layer and direction, Keras'
// variables.
type storedLayer struct {
	name    string
	tensors map[string]stored.Tensor
}

// storedLayers groups the tensors of a file, in its order.
func storedLayers(tensors []stored.Tensor) (out []*storedLayer) {
	byName := map[string]*storedLayer{}
	for _, t := range tensors {
		layer, what := "", t.Name
		if at := strings.LastIndexAny(t.Name, "./"); at >= 0 {
			layer, what = t.Name[:at], t.Name[at+1:]
		}
		if before, after, found := strings.Cut(what, "_l"); found && after != "" && after[0] >= '0' && after[0] <= '9' { // weight_ih_l0_reverse
			what, layer = before, layer+" l"+after
		}
		l := byName[layer]
		if l == nil {
			l = &storedLayer{strings.TrimSpace(layer), map[string]stored.Tensor{}}
			byName[layer] = l
			out = append(out, l)
		}
		l.tensors[what] = t
	}
	return out
}

// kind tells whether the tensors are those of a layer of this kind.
func (s *storedLayer) kind(kind string) bool {
	gates := func() int { // by the shapes of the weights on the state
		if t, ok := s.tensors["weight_hh"]; ok && len(t.Shape) == 2 && t.Shape[1] > 0 {
			return t.Shape[0] / t.Shape[1]
		}
		if t, ok := s.tensors["recurrent_kernel"]; ok && len(t.Shape) == 2 && t.Shape[0] > 0 {
			return t.Shape[1] / t.Shape[0]
		}
		return 0
	}
	has := func(name string, axes int) bool { t, ok := s.tensors[name]; return ok && len(t.Shape) == axes }
	switch kind {
	case kernel.LSTM.String():
		return gates() == kernel.LSTM.Gates()
	case kernel.GRU.String():
		return gates() == kernel.GRU.Gates()
	case "dense":
		return gates() == 0 && (has("weight", 2) && has("bias", 1) || has("kernel", 2))
	}
	return has("embeddings", 2) || has("weight", 2) && len(s.tensors) == 1
}

// load converts the tensors.
func (s *storedLayer) load(net *nn.Network, l nn.Layer, into nn.Weights) error {
	keras := len(s.tensors["kernel"].Shape) > 0
	op, recurrent := l.Op.(nn.Recurrent)
	for _, p := range net.LayerParameters(l) {
		want := p.Shape.Size()
		var data []float32
		var err error
		switch {
		case p.Role == nn.Weight && keras:
			data, err = s.transposed("kernel", p.Shape)
		case p.Role == nn.StateWeight && keras:
			data, err = s.transposed("recurrent_kernel", p.Shape)
		case p.Role == nn.Weight && recurrent:
			data, err = s.numbers("weight_ih", p.Shape...)
		case p.Role == nn.StateWeight:
			data, err = s.numbers("weight_hh", p.Shape...)
		case p.Role == nn.Weight && len(s.tensors["embeddings"].Shape) > 0:
			data, err = s.numbers("embeddings", p.Shape...)
		case p.Role == nn.Weight:
			data, err = s.numbers("weight", p.Shape...)
		case !recurrent:
			data, err = s.numbers("bias", p.Shape...)
		default:
			data, err = s.recurrentBias(op, p.Role, keras, want)
		}
		if err != nil {
			return err
		}
		if recurrent && keras && op.Cell == kernel.GRU { // Keras has the update gate first
			block := len(data) / 3
			data = slices.Concat(data[block:2*block], data[:block], data[2*block:])
		}
		into[p.Name()] = nn.Tensor{Shape: p.Shape, Data: data}
	}
	return nil
}

// recurrentBias is a bias of a recurrent layer: PyTorch has two for an LSTM, of which the sum counts; a layer without any has zeros.
func (s *storedLayer) recurrentBias(op nn.Recurrent, role nn.Role, keras bool, want int) ([]float32, error) {
	if keras {
		t, ok := s.tensors["bias"]
		switch {
		case !ok:
			return make([]float32, want), nil
		case op.Cell == kernel.LSTM:
			return s.numbers("bias", want)
		case len(t.Shape) != 2:
			return nil, fmt.Errorf("its reset gate is applied before the product (reset_after=False), which is not supported")
		}
		both, err := s.numbers("bias", 2, want)
		if err != nil {
			return nil, err
		}
		if role == nn.Bias {
			return both[:want], nil
		}
		return both[want:], nil
	}
	if _, ok := s.tensors["bias_ih"]; !ok {
		return make([]float32, want), nil
	}
	input, err := s.numbers("bias_ih", want)
	if err != nil {
		return nil, err
	}
	state, err := s.numbers("bias_hh", want)
	switch {
	case err != nil || role == nn.StateBias:
		return state, err
	case op.Cell == kernel.GRU:
		return input, nil
	}
	sum := make([]float32, want)
	for i := range sum {
		sum[i] = input[i] + state[i]
	}
	return sum, nil
}

// numbers are those of a tensor, which must have this shape.
func (s *storedLayer) numbers(name string, shape ...int) ([]float32, error) {
	t, ok := s.tensors[name]
	if !ok {
		return nil, fmt.Errorf("there is no %s", name)
	}
	if !slices.Equal(t.Shape, shape) {
		return nil, fmt.Errorf("%s has the shape %v, the network's has %v", name, t.Shape, shape)
	}
	data, err := t.Float32()
	return slices.Clone(data), err
}

// transposed are the numbers of a tensor whose axes are in the other order.
func (s *storedLayer) transposed(name string, shape nn.Shape) ([]float32, error) {
	data, err := s.numbers(name, shape[1], shape[0])
	if err != nil {
		return nil, err
	}
	out := make([]float32, len(data))
	for i := range shape[0] {
		for j := range shape[1] {
			out[i*shape[1]+j] = data[j*shape[0]+i]
		}
	}
	return out, nil
}
