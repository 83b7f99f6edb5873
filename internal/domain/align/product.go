package align

import "github.com/tlpipe/tlpipe/internal/kernel"

// symmetricProduct multiplies matrices of float32 whose product is known to be symmetric, [n][n]: what is below the diagonal is
// computed, in panels of columns, and copied to above it.
type symmetricProduct struct {
	pool      *kernel.Pool
	n         int
	workspace kernel.Workspace
}

// panelColumns is the width of a panel: one block of the kernel.
const panelColumns = 256

// of is c = op(a)·b, where op transposes if told: op(a) is [n][depth], b is [depth][n].
func (s *symmetricProduct) of(transposed bool, depth int, a, b, c []float32) {
	lead, down := depth, depth // of a: elements between its rows, and between those of op(a)
	if transposed {
		lead, down = s.n, 1
	}
	for from := 0; from < s.n; from += panelColumns {
		kernel.Gemm(s.pool, transposed, false, s.n-from, min(panelColumns, s.n-from), depth, 1, a[from*down:], lead, b[from:], s.n, 0, c[from*s.n+from:], s.n, &s.workspace)
	}
	const side = 64 // of the squares that are copied, so that both stay in the cache
	blocks := (s.n + side - 1) / side
	s.pool.Each(blocks, func(_, block int) {
		top, end := block*side, min(s.n, (block+1)*side)
		for left := top; left < s.n; left += side {
			for i := top; i < end; i++ {
				for j := max(left, i+1); j < min(s.n, left+side); j++ {
					c[i*s.n+j] = c[j*s.n+i]
				}
			}
		}
	})
}
