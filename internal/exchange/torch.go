package exchange

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/tlpipe/tlpipe/internal/backbone"
	"github.com/tlpipe/tlpipe/internal/deploy"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
	"github.com/tlpipe/tlpipe/internal/safetensors"
	"github.com/tlpipe/tlpipe/internal/stored"
	"github.com/tlpipe/tlpipe/internal/torchfile"
	"github.com/tlpipe/tlpipe/internal/weightfile"
)

// torchTensors calls each with the parameters of the model before it was folded.
func torchTensors(m *deploy.Model, each func(t backbone.TorchTensor, p nn.Parameter) error) error {
	net := m.Trained.Network
	names := backbone.TorchNamesOf(net, m.Description.Origins, deploy.BackbonePrefix)
	seen := map[string]bool{}
	for _, l := range net.Layers() {
		for _, p := range net.LayerParameters(l) {
			t := names.Tensor(net, l, p)
			if seen[t.Name] {
				return fmt.Errorf("two tensors would be called %s", t.Name)
			}
			seen[t.Name] = true
			if err := each(t, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeTorch writes the weights as a state dict. Pixels and the network itself have no place in it.
func writeTorch(w io.Writer, r Request) error {
	kind := stored.F32
	if r.Precision == Float16 {
		kind = stored.F16
	}
	var entries []torchfile.Entry
	err := torchTensors(r.Model, func(t backbone.TorchTensor, p nn.Parameter) error {
		entries = append(entries, torchfile.Entry{Name: t.Name, Shape: t.Shape, Type: kind, Data: t.Put(r.Model.Trained.Weights[p.Name()].Data)})
		if t.SecondBias != "" {
			entries = append(entries, torchfile.Entry{Name: t.SecondBias, Shape: t.Shape, Type: kind, Data: make([]float32, p.Shape.Size())})
		}
		if steps := t.Steps(p.Role); steps != "" {
			entries = append(entries, torchfile.Entry{Name: steps, Type: stored.I64})
		}
		return nil
	})
	if err != nil {
		return err
	}
	return torchfile.Write(w, entries)
}

// writeSafetensors writes the same as a safetensors file, of which loaders need no counts of batches.
func writeSafetensors(w io.Writer, r Request) error {
	kind := stored.F32
	if r.Precision == Float16 {
		kind = stored.F16
	}
	var tensors []safetensors.Tensor
	err := torchTensors(r.Model, func(t backbone.TorchTensor, p nn.Parameter) error {
		tensors = append(tensors, safetensors.Tensor{Name: t.Name, Shape: t.Shape, Type: kind, Data: t.Put(r.Model.Trained.Weights[p.Name()].Data)})
		if t.SecondBias != "" {
			tensors = append(tensors, safetensors.Tensor{Name: t.SecondBias, Shape: t.Shape, Type: kind, Data: make([]float32, p.Shape.Size())})
		}
		return nil
	})
	if err != nil {
		return err
	}
	classes, err := json.Marshal(r.Model.Head.Names())
	if err != nil {
		return err
	}
	described, err := r.Model.Description.Encode()
	if err != nil {
		return err
	}
	metadata := map[string]string{"format": "pt", "classes": string(classes), "task": string(r.Model.Head.Task), "description": described}
	if licences := r.Model.Description.LicencesInWords(); licences != "" {
		metadata["licences"] = licences
	}
	return safetensors.Write(w, tensors, metadata)
}

// checkTorch reads the weights back into the network and compares what it gives.
func checkTorch(path string, r Request, e *examples, pool *kernel.Pool) (_ *Check, err error) {
	file, err := weightfile.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	weights := nn.Weights{}
	err = torchTensors(r.Model, func(t backbone.TorchTensor, p nn.Parameter) error {
		at := slices.IndexFunc(file.Tensors, func(s stored.Tensor) bool { return s.Name == t.Name })
		if at < 0 || !slices.Equal(file.Tensors[at].Shape, t.Shape) {
			return fmt.Errorf("its tensor %s of shape %v is not there", t.Name, t.Shape)
		}
		return file.Tensors[at].Use(func(numbers []float32) { weights[p.Name()] = t.Take(numbers) })
	})
	if err != nil {
		return nil, err
	}
	program, err := frozen.Options{}.Compile(r.Model.Trained.Network, weights)
	if err != nil {
		return nil, err
	}
	return compare(r, e, r.onNetwork(r.Model.Trained.Network, program, pool))
}
