package blas

import (
	"sync"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// BLAS is Gonum's implementation with another Sgemm. It may be used by several goroutines at once; each
// product is computed by the goroutine that asks for it.
type BLAS struct {
	gonum.Implementation
	workspaces *sync.Pool // of *kernel.Workspace
}

// New returns an implementation.
func New() BLAS {
	return BLAS{workspaces: &sync.Pool{New: func() any { return new(kernel.Workspace) }}}
}

// Sgemm computes c = alpha·op(a)·op(b) + beta·c, as [blas.Float32Level3] defines it. What it cannot be
// asked for is Gonum's to refuse.
func (b BLAS) Sgemm(transA, transB blas.Transpose, m, n, k int, alpha float32, x []float32, ldx int, y []float32, ldy int, beta float32, c []float32, ldc int) {
	fits := func(s []float32, rows, columns, lead int, transposed bool) bool {
		if transposed {
			rows, columns = columns, rows
		}
		return lead >= max(columns, 1) && len(s) >= (rows-1)*lead+columns
	}
	if m <= 0 || n <= 0 || k <= 0 || !known(transA) || !known(transB) ||
		!fits(x, m, k, ldx, transA != blas.NoTrans) || !fits(y, k, n, ldy, transB != blas.NoTrans) || !fits(c, m, n, ldc, false) {
		b.Implementation.Sgemm(transA, transB, m, n, k, alpha, x, ldx, y, ldy, beta, c, ldc)
		return
	}
	w := b.workspaces.Get().(*kernel.Workspace)
	kernel.Gemm(nil, transA != blas.NoTrans, transB != blas.NoTrans, m, n, k, alpha, x, ldx, y, ldy, beta, c, ldc, w)
	b.workspaces.Put(w)
}

func known(t blas.Transpose) bool {
	return t == blas.NoTrans || t == blas.Trans || t == blas.ConjTrans
}
