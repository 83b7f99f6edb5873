package frozen

import (
	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// windowStep puts neighbouring tokens side by side.
type windowStep struct {
	weightless
	src, dst view
	size     int
}

func newWindowStep(n *node, in []view, out view) step {
	return &windowStep{src: in[0], dst: out, size: n.op.(nn.Window).Size}
}

func (s *windowStep) run(f *frame) {
	kernel.Windows(f.pool, f.slice(s.dst), f.slice(s.src), f.sequences(s.src.pixels), s.size, s.src.channels)
}

func (*windowStep) describe() (string, int) { return "windows of tokens", 0 }
