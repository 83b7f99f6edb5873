package exchange

import (
	"errors"
	"io"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/mapped"
	"github.com/tlpipe/tlpipe/internal/tflite"
	"github.com/tlpipe/tlpipe/internal/tflite/emit"
	"github.com/tlpipe/tlpipe/internal/tflite/evaluate"
)

func writeTFLite(w io.Writer, r Request) error {
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

func checkTFLite(path string, r Request, e *examples, pool *kernel.Pool) (_ *Check, err error) {
	m, closing, err := tflite.Open(path, tflite.Limits())
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
		check, err = compare(r, e, func(x example) ([]float32, error) { return program.Run(x.pixels, x.numbers) })
		return err
	})
	return check, err
}
