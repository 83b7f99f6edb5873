package encoder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sourcegraph/conc/iter"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/stored"
	"github.com/tlpipe/tlpipe/internal/weightfile"
)

// weightsIn returns the file of weights in a folder, or the index of its shards.
func weightsIn(folder string) (string, error) {
	names := weightNames()
	for _, name := range names {
		path := filepath.Join(folder, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("weights of an encoder: %w", err)
		}
	}
	return "", fmt.Errorf("there are no weights in %s: none of %s", folder, strings.Join(names, ", "))
}

// weightNames are the names that the file of weights may have, the first that is there counts.
func weightNames() []string {
	return []string{"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json",
		"open_clip_model.safetensors", "open_clip_pytorch_model.bin"}
}

// module is what a family calls the module of a layer. That of the word table ends in the same words in all families.
func (s Sizes) module(layer string) string {
	if part, ok := strings.CutPrefix(layer, "embeddings."); ok {
		return "embeddings." + map[string]string{
			"words": "word_embeddings", "positions": "position_embeddings", "types": "token_type_embeddings", "norm": "LayerNorm",
		}[part]
	}
	block, part, _ := strings.Cut(strings.TrimPrefix(layer, "block"), ".")
	if s.Family == "distilbert" {
		return "transformer.layer." + block + "." + map[string]string{
			"attention.query": "attention.q_lin", "attention.key": "attention.k_lin", "attention.value": "attention.v_lin",
			"attention.out": "attention.out_lin", "attention.norm": "sa_layer_norm",
			"feed_forward.wide": "ffn.lin1", "feed_forward.narrow": "ffn.lin2", "feed_forward.norm": "output_layer_norm",
		}[part]
	}
	return "encoder.layer." + block + "." + map[string]string{
		"attention.query": "attention.self.query", "attention.key": "attention.self.key", "attention.value": "attention.self.value",
		"attention.out": "attention.output.dense", "attention.norm": "attention.output.LayerNorm",
		"feed_forward.wide": "intermediate.dense", "feed_forward.narrow": "output.dense", "feed_forward.norm": "output.LayerNorm",
	}[part]
}

// tensors are the names that a parameter may have in a file: norms were once called otherwise.
func (s Sizes) tensors(prefix string, p nn.Parameter) []string {
	module := prefix + s.module(p.Layer) + "."
	switch {
	case p.Layer == "embeddings.types":
		return []string{module + "weight"}
	case p.Role == nn.Gamma:
		return []string{module + "weight", module + "gamma"}
	case p.Role == nn.Beta:
		return []string{module + "bias", module + "beta"}
	}
	return []string{module + string(p.Role)}
}

// prefix is what stands before the names of a file's tensors: "bert.", of a network with a head, or "".
func (s Sizes) prefix(tensors []stored.Tensor) string {
	last := "embeddings.word_embeddings.weight"
	if s.tower() {
		last = s.towerModule("embeddings.words") + ".weight"
	}
	shortest, found := "", false
	for _, t := range tensors {
		if before, ok := strings.CutSuffix(t.Name, last); ok && (!found || len(before) < len(shortest)) {
			shortest, found = before, true
		}
	}
	return shortest
}

// Load reads the weights of net, which is the encoder's network or a part of it. Tensors of other parts, such as a head, are
// left alone. The error lists what is missing or of the wrong shape, as a *[nn.WeightsError].
func (e *Encoder) Load(net *nn.Network) (_ nn.Weights, err error) {
	file, err := weightfile.Open(e.weights)
	if err != nil {
		return nil, fmt.Errorf("weights of an encoder: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	wanted, wrong := e.match(net, file.Tensors)
	if err := e.refuse(wrong); err != nil {
		return nil, err
	}
	read, err := iter.MapErr(wanted, (*reading).do)
	if err != nil {
		return nil, fmt.Errorf("weights of an encoder from %s: %w", e.weights, err)
	}
	w := nn.Weights{}
	for i, r := range wanted {
		if read[i] == nil {
			wrong.NotFinite = append(wrong.NotFinite, r.tensor.Name)
			continue
		}
		w[r.parameter.Name()] = nn.Tensor{Shape: r.parameter.Shape, Data: read[i]}
	}
	if err := e.refuse(wrong); err != nil {
		return nil, err
	}
	return w, nil
}

// CheckWeights tells whether the file has the weights of net, which is the encoder's network or a part of it, by names and shapes: no
// numbers are read.
func (e *Encoder) CheckWeights(net *nn.Network) (err error) {
	file, err := weightfile.Open(e.weights)
	if err != nil {
		return fmt.Errorf("weights of an encoder: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, wrong := e.match(net, file.Tensors)
	return e.refuse(wrong)
}

// UnusedBlocks is how many blocks the file has beyond those that config.json says, such as where num_hidden_layers was lowered: the
// encoder does not compute them.
func (e *Encoder) UnusedBlocks() (n int, err error) {
	file, err := weightfile.Open(e.weights)
	if err != nil {
		return 0, fmt.Errorf("weights of an encoder: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	module := e.Sizes.module
	if e.Sizes.tower() {
		module = e.Sizes.towerModule
	}
	prefix := e.Sizes.prefix(file.Tensors)
	for ; ; n++ {
		block := prefix + module(fmt.Sprintf("block%d.", e.Sizes.Blocks+n))
		if !slices.ContainsFunc(file.Tensors, func(t stored.Tensor) bool { return strings.HasPrefix(t.Name, block) }) {
			return n, nil
		}
	}
}

// Notes are what people are told of the encoder beside its name and pooling.
func (e *Encoder) Notes() []string {
	n, err := e.UnusedBlocks()
	if err != nil || n == 0 {
		return nil // an error is told where the weights are checked or read
	}
	return []string{fmt.Sprintf("%s has the weights of %d blocks, of which config.json says the first %d: the others are not used", filepath.Base(e.weights), e.Sizes.Blocks+n, e.Sizes.Blocks)}
}

// refuse is the error of weights of which something is wrong; nil if nothing is.
func (e *Encoder) refuse(wrong nn.WeightsError) error {
	if len(wrong.Missing)+len(wrong.Misshaped)+len(wrong.NotFinite) == 0 {
		return nil
	}
	return fmt.Errorf("weights of an encoder from %s: %w", e.weights, &wrong)
}

// match finds the tensors of a file that are the network's parameters, and tells what is missing or of the wrong shape.
func (e *Encoder) match(net *nn.Network, tensors []stored.Tensor) (wanted []reading, wrong nn.WeightsError) {
	prefix := e.Sizes.prefix(tensors)
	inFile := map[string]stored.Tensor{}
	for _, t := range tensors {
		inFile[t.Name] = t
	}
	for _, p := range net.Parameters() {
		names, part, transposed, want := e.Sizes.tensors(prefix, p), 0, false, p.Shape
		if e.Sizes.tower() {
			names = names[:1]
			names[0], part, transposed, want = e.Sizes.inTower(prefix, p)
		}
		at := slices.IndexFunc(names, func(name string) bool { _, ok := inFile[name]; return ok })
		if at < 0 {
			wrong.Missing = append(wrong.Missing, names[0])
			continue
		}
		t := inFile[names[at]]
		if p.Layer == "embeddings.types" {
			want = nn.Shape{e.Sizes.Types, e.Sizes.Width}
		}
		if !slices.Equal(nn.Shape(t.Shape), want) {
			wrong.Misshaped = append(wrong.Misshaped, fmt.Sprintf("%s: shape %v, want %v", t.Name, nn.Shape(t.Shape), want))
			continue
		}
		wanted = append(wanted, reading{t, p, part, transposed})
	}
	return wanted, wrong
}

// reading is a tensor that becomes a parameter: the first numbers of it, of the table of types.
type reading struct {
	tensor     stored.Tensor
	parameter  nn.Parameter
	part       int  // of the tensor, which has several parts as large as the parameter
	transposed bool // the axes of the tensor are in the other order
}

// do returns the parameter's numbers; none if they are not finite.
func (r *reading) do() (data []float32, err error) {
	err = r.tensor.Use(func(numbers []float32) {
		size := r.parameter.Shape.Size()
		numbers = numbers[r.part*size : (r.part+1)*size]
		if !nn.Finite(numbers) {
			return
		}
		data = kernel.Memory(size)
		if !r.transposed {
			copy(data, numbers)
			return
		}
		rows, columns := r.parameter.Shape[0], r.parameter.Shape[1]
		for i := range rows {
			for j := range columns {
				data[i*columns+j] = numbers[j*rows+i]
			}
		}
	})
	return data, err
}

// TensorNames tells how transformers calls the parameters of an encoder of a family, without a prefix, as AutoModel loads them; ok is
// false for families whose tensors hold several parameters. rows is how many rows a table has of which the encoder uses the first;
// 0 of other tensors. name is "" for layers that are not the encoder's.
func TensorNames(family string) (names func(p nn.Parameter) (name string, rows int), ok bool) {
	s := Sizes{Family: family}
	switch family {
	case "bert":
		s.Types = 2
	case "roberta":
		s.Types = 1
	case "distilbert":
	case familyCLIP:
		return func(p nn.Parameter) (string, int) {
			if !ofEncoder(p.Layer) && p.Layer != "norm" && p.Layer != projection {
				return "", 0
			}
			name, _, _, _ := s.inTower("text_model.", p)
			return name, 0
		}, true
	default:
		return nil, false
	}
	return func(p nn.Parameter) (name string, rows int) {
		if !ofEncoder(p.Layer) {
			return "", 0
		}
		if p.Layer == "embeddings.types" {
			rows = s.Types
		}
		return s.tensors("", p)[0], rows
	}, true
}

// ofEncoder tells whether a layer is an embedding or in a block.
func ofEncoder(layer string) bool {
	first, _, _ := strings.Cut(layer, ".")
	number, block := strings.CutPrefix(first, "block")
	return first == "embeddings" || block && number != "" && strings.Trim(number, "0123456789") == ""
}
