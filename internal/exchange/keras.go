package exchange

import (
	"errors"
	"io"

	"github.com/tlpipe/tlpipe/internal/kerasfile"
	"github.com/tlpipe/tlpipe/internal/kerasfile/emit"
	"github.com/tlpipe/tlpipe/internal/kerasfile/network"
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/mapped"
	"github.com/tlpipe/tlpipe/internal/nn/frozen"
)

func writeKeras(w io.Writer, r Request) error {
	m, err := emit.Model(r.Model, emit.Options{Float16: r.Precision == Float16, Version: r.Version})
	if err != nil {
		return err
	}
	return m.Write(w)
}

// checkKeras makes a network of the file and compares what it gives.
func checkKeras(path string, r Request, e *examples, pool *kernel.Pool) (_ *Check, err error) {
	file, closing, err := kerasfile.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closing()) }()
	var program *frozen.Program
	err = mapped.Guard(func() error {
		net, weights, err := network.Of(file)
		if err != nil {
			return err
		}
		program, err = frozen.Options{}.Compile(net, weights)
		return err
	})
	if err != nil {
		return nil, err
	}
	session := program.NewSession(1)
	return compare(r, e, func(x example) ([]float32, error) {
		in := x.numbers
		for _, v := range x.pixels { // which the file normalises
			in = append(in, float32(v))
		}
		out := make([]float32, program.OutputShape(0).Size())
		return out, session.Run(pool, in, 1, out)
	})
}
