package exchange

import (
	"errors"
	"io"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/mapped"
	"github.com/tlpipe/tlpipe/internal/onnx"
	"github.com/tlpipe/tlpipe/internal/onnx/emit"
	"github.com/tlpipe/tlpipe/internal/onnx/evaluate"
)

func writeONNX(w io.Writer, r Request) error {
	o := emit.Options{Float16: r.Precision == Float16, Version: r.Version}
	if r.Precision == Int8 {
		o.Scheme = r.Scheme
	}
	m, err := emit.Model(r.Model, o)
	if err != nil {
		return err
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
		check, err = compare(r, e, func(pixels []uint8) ([]float32, error) {
			p := r.Model.Pixels
			in := &evaluate.Tensor{Shape: []int{1, p.Height, p.Width, 3}, Whole: make([]int64, len(pixels))}
			for i, v := range pixels {
				in.Whole[i] = int64(v)
			}
			out, err := program.Run(in)
			if err != nil {
				return nil, err
			}
			return out[m.Graph.Outputs[0].Name].Float, nil
		})
		return err
	})
	return check, err
}
