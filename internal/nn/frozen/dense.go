package frozen

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// emitDense makes a dense layer a convolution of maps of one column, or of tokens and in eight bits one that quantises its rows.
func emitDense(n *node, o Options, in []view, out view) ([]step, error) {
	src := in[0]
	if o.Precision == Int8 && o.Values == nil && n.ofTokens() && !o.Float[n.name] && src.channels%4 == 0 {
		packed, err := kernel.PackDenseInt8(src.channels, out.channels, n.scaledWeight(), narrow(n.shift))
		if err != nil {
			return nil, err
		}
		return []step{&int8DenseStep{packed: packed, src: src, dst: out, residual: n.residualView(), act: n.act}}, nil
	}
	g := kernel.Conv{InC: src.channels, OutC: out.channels, KernelH: 1, KernelW: 1, StrideH: 1, StrideW: 1}
	return n.emitWeighted(o, g, src.pixels, 1, src, out)
}

// ofTokens tells whether the node is a dense layer that takes several rows of an example: the products of a transformer. Of one row an
// example, as in heads and gates, there is little to gain by smaller numbers.
func (n *node) ofTokens() bool {
	_, dense := n.op.(nn.Dense)
	return dense && (n.in[0].varies() || n.in[0].pixels() > 1)
}

// int8DenseStep is convStep for a dense layer that multiplies bytes; it reads and writes float32.
type int8DenseStep struct {
	packed   *kernel.PackedDenseInt8
	src, dst view
	residual *view
	act      kernel.Activation
}

func (s *int8DenseStep) run(f *frame) {
	v := kernel.DenseView{Dst: f.slice(s.dst), DstPitch: s.dst.pitch, Src: f.slice(s.src), SrcPitch: s.src.pitch, Rows: f.n * s.src.pixels}
	if s.residual != nil {
		v.Residual, v.ResidualPitch = f.slice(*s.residual), s.residual.pitch
	}
	s.packed.RunView(f.pool, v, s.act, &f.workspace)
}

func (s *int8DenseStep) bytes() int { return s.packed.Bytes() }

func (s *int8DenseStep) describe() (string, int) {
	return "dense, int8", 2 * s.src.pixels * s.src.channels * s.dst.channels
}
