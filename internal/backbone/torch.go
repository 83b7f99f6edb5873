package backbone

import (
	"cmp"
	"slices"
	"strings"

	"github.com/tlpipe/tlpipe/internal/encoder"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
)

// TorchNames says how a state dict of PyTorch calls the tensors of a model's network, and how they lie in it.
type TorchNames struct {
	names   naming
	prefix  string            // of the backbone's layers in the network
	known   map[string]bool   // layers of the backbone
	renamed map[string]string // layers of the head that stand in the place of the backbone's own

	encoder func(p nn.Parameter) (name string, rows int) // of a text encoder, as package encoder has it; nil of others
}

// TorchNamesOf finds the names for a network: of what began as a backbone of the zoo, those of torchvision, timm or whoever builds its variant in
// PyTorch, so that its module loads the file; of a text encoder, those of transformers, as AutoModel has them; of all others, the layers' own. prefix stands before the backbone's layers in
// the network. A head of one dense layer has the name of the backbone's own classifier.
func TorchNamesOf(net *nn.Network, origins []record.Origin, prefix string) TorchNames {
	origins = record.OwnOrigins(origins)
	t := TorchNames{names: pyTorch("tlpipe", func(layer string) string { return layer }), prefix: prefix, known: map[string]bool{}, renamed: map[string]string{}}
	if len(origins) == 0 {
		return t
	}
	if names, ok := encoder.TensorNames(origins[0].Backbone); ok {
		t.names.title, t.encoder = "transformers", names
		return t
	}
	b, err := Find(origins[0].Backbone)
	if err != nil || b.Imported || b.AnyPixels {
		return t
	}
	if b, err = b.As(origins[0].Variant); err != nil {
		return t
	}
	whole, err := b.whole()
	if err != nil {
		return t
	}
	namings := b.variants[b.chosen].namings
	at := -1
	for i, n := range namings {
		if n.order == torchOrder && n.tellsApart(whole) && (at < 0 || namings[at].title != "torchvision" && n.title == "timm") {
			at = i
		}
	}
	if at < 0 {
		return t
	}
	t.names = namings[at]
	for _, l := range whole.Layers() {
		t.known[l.Name] = true
	}
	var others []nn.Layer
	for _, l := range net.Layers() {
		name := strings.TrimPrefix(l.Name, prefix)
		if len(net.LayerParameters(l)) > 0 && (!t.known[name] || name == b.Logits) {
			others = append(others, l)
		}
	}
	if len(others) == 1 && b.Logits != "" {
		if _, dense := others[0].Op.(nn.Dense); dense {
			t.renamed[others[0].Name] = b.Logits
		}
	}
	return t
}

// tellsApart tells whether each parameter of a network has a name of its own: some modules hold queries, keys and values in one.
func (n naming) tellsApart(net *nn.Network) bool {
	seen := map[string]bool{}
	for _, l := range net.Layers() {
		for _, p := range net.LayerParameters(l) {
			name := n.tensor(nn.Parameter{Layer: l.Name, Role: p.Role})
			if seen[name] {
				return false
			}
			seen[name] = true
		}
	}
	return true
}

// Library is the one whose module has these names; "tlpipe" for none.
func (t TorchNames) Library() string { return t.names.title }

// TorchTensor is a parameter as it lies in a state dict.
type TorchTensor struct {
	Name       string
	Shape      []int
	SecondBias string // a tensor of as many zeros that belongs beside it: PyTorch's LSTM has two biases; "" for others

	layout layout
	own    nn.Shape // of the parameter
	zeros  int      // numbers behind it, of rows that are not known
}

// Tensor tells how a parameter lies in the file.
func (t TorchNames) Tensor(net *nn.Network, l nn.Layer, p nn.Parameter) TorchTensor {
	out := TorchTensor{layout: t.names.layout(net, l, p), own: p.Shape}
	if out.layout.shape.Size() != p.Shape.Size() { // positions of pictures of another size than the published weights are for
		out.layout = layout{shape: p.Shape}
	}
	name := strings.TrimPrefix(l.Name, t.prefix)
	if t.encoder != nil {
		if tensor, rows := t.encoder(nn.Parameter{Layer: name, Role: p.Role}); tensor != "" {
			out.Name, out.Shape = tensor, slices.Clone(p.Shape)
			if rows > 0 {
				out.Shape = []int{rows, p.Shape.Size()}
				out.zeros = (rows - 1) * p.Shape.Size()
			}
			return out
		}
	}
	switch other, ok := t.renamed[l.Name]; {
	case ok:
		out.Name = t.names.tensor(nn.Parameter{Layer: other, Role: p.Role})
	case t.known[name]:
		out.Name = t.names.tensor(nn.Parameter{Layer: name, Role: p.Role})
	default:
		out.Name = name + "." + cmp.Or(recurrentRole(l.Op, p.Role), t.names.roles[p.Role], string(p.Role))
	}
	if op, ok := l.Op.(nn.Recurrent); ok && op.Cell == kernel.LSTM && p.Role == nn.Bias {
		out.SecondBias = name + "." + recurrentRole(op, nn.StateBias)
	}
	out.Shape = slices.Clone(out.layout.shape)
	if _, dense := l.Op.(nn.Dense); dense && p.Role == nn.Weight {
		out.Shape = []int{p.Shape[0], p.Shape.Size() / p.Shape[0]}
	}
	return out
}

// recurrentRole is what nn.LSTM and nn.GRU of one layer call a parameter; "" for other layers.
func recurrentRole(op nn.Op, role nn.Role) string {
	if _, ok := op.(nn.Recurrent); !ok {
		return ""
	}
	return map[nn.Role]string{nn.Weight: "weight_ih_l0", nn.StateWeight: "weight_hh_l0", nn.Bias: "bias_ih_l0", nn.StateBias: "bias_hh_l0"}[role]
}

// Steps is the name of the count of steps that a batch-norm of PyTorch keeps; "" for other tensors.
func (t TorchTensor) Steps(role nn.Role) string {
	if role != nn.Mean {
		return ""
	}
	return strings.TrimSuffix(t.Name, "running_mean") + "num_batches_tracked"
}

// Put gives a parameter's numbers as they lie in the file.
func (t TorchTensor) Put(data []float32) []float32 {
	if t.zeros > 0 {
		return append(slices.Clone(data), make([]float32, t.zeros)...)
	}
	if t.layout.axes == nil {
		return data
	}
	turned := layout{shape: make(nn.Shape, len(t.layout.axes)), axes: make([]int, len(t.layout.axes))}
	for i, axis := range t.layout.axes {
		turned.shape[i], turned.axes[axis] = t.layout.shape[axis], i
	}
	return turned.apply(data)
}

// Take gives the parameter of the numbers in a file.
func (t TorchTensor) Take(data []float32) nn.Tensor {
	return nn.Tensor{Shape: t.own, Data: t.layout.apply(data[:len(data)-t.zeros])}
}
