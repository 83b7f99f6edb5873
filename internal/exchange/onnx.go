package exchange

import (
	"errors"
	"io"

	"github.com/tlpipe/tlpipe/internal/deploy"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/mapped"
	"github.com/tlpipe/tlpipe/internal/onnx"
	"github.com/tlpipe/tlpipe/internal/onnx/emit"
	"github.com/tlpipe/tlpipe/internal/onnx/evaluate"
)

func writeONNX(w io.Writer, r Request) error {
	o := emit.Options{Float16: r.Precision == Float16, Version: r.Version}
	if r.Precision == Int8 {
		o.Scheme, o.Signed = r.Scheme, r.Signed
	}
	m, err := emit.Model(r.Model, o)
	if err != nil {
		return err
	}
	if r.Precision == Int8 && r.Signed {
		r.Model.Notes = append(r.Model.Notes, "on x86 processors without VNNI, ONNX Runtime adds products of bytes in 16 bits, which overflow: set session.x64quantprecision to 1 there")
	}
	return m.Write(w)
}

func checkONNX(path string, r Request, e *examples, pool *kernel.Pool) (_ *Check, err error) {
	m, closing, err := onnx.Open(path, onnx.Limits())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closing()) }()
	var check *Check
	err = mapped.Guard(func() error {
		program, err := evaluate.New(m, pool)
		if err != nil {
			return err
		}
		check, err = compare(r, e, func(x example) ([]float32, error) {
			in := inputsOf(r.Model, x)
			out, err := program.Run(in...)
			if err != nil {
				return nil, err
			}
			return out[m.Graph.Outputs[0].Name].Float, nil
		})
		return err
	})
	return check, err
}

// inputsOf are an example as files take it: a text with padding behind it, which must not count.
func inputsOf(m *deploy.Model, x example) []*evaluate.Tensor {
	switch {
	case x.pixels != nil:
		in := &evaluate.Tensor{Shape: []int{1, m.Pixels.Height, m.Pixels.Width, 3}, Whole: make([]int64, len(x.pixels))}
		for i, v := range x.pixels {
			in.Whole[i] = int64(v)
		}
		return []*evaluate.Tensor{in}
	case x.tokens != nil:
		n := min(len(x.tokens)+3, m.Tokens.Length)
		ids, mask := &evaluate.Tensor{Shape: []int{1, n}, Whole: make([]int64, n)}, &evaluate.Tensor{Shape: []int{1, n}, Whole: make([]int64, n)}
		for i, id := range x.tokens {
			ids.Whole[i], mask.Whole[i] = int64(id), 1
		}
		return []*evaluate.Tensor{ids, mask}
	}
	shape := append([]int{1}, m.Network.Shape(m.Input().Name)...)
	return []*evaluate.Tensor{{Shape: shape, Float: x.numbers}}
}
