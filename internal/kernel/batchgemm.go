package kernel

// Products computes so many matrix products of one size, c = op(a)·op(b), as [Gemm] does each; the matrices
// of each kind lie dense, one after the other. c must not overlap a or b. workspace may be nil.
func Products(pool *Pool, count int, transA, transB bool, m, n, k int, a, b, c []float32, workspace *Workspace) {
	products(active(), elementFloat32, pool, count, transA, transB, m, n, k, a, b, c, workspace)
}

// ProductsBFloat16 is Products of a and b rounded to bfloat16, where that is faster.
func ProductsBFloat16(pool *Pool, count int, transA, transB bool, m, n, k int, a, b, c []float32, workspace *Workspace) {
	products(active(), elementBFloat16, pool, count, transA, transB, m, n, k, a, b, c, workspace)
}

// productsTask is such products in progress, each one that of one thread.
type productsTask struct {
	set            isa
	kind           element
	transA, transB bool
	m, n, k        int
	a, b, c        []float32
	spaces         []*Workspace
}

func products(set isa, kind element, pool *Pool, count int, transA, transB bool, m, n, k int, a, b, c []float32, workspace *Workspace) {
	need("products", "a", a, count*m*k)
	need("products", "b", b, count*k*n)
	need("products", "c", c, count*m*n)
	w := workspace.orNew()
	t := &w.products
	t.set, t.kind, t.transA, t.transB, t.m, t.n, t.k, t.a, t.b, t.c = set, kind, transA, transB, m, n, k, a, b, c
	if threads := pool.Threads(); count >= threads {
		for len(t.spaces) < threads {
			t.spaces = append(t.spaces, new(Workspace))
		}
		pool.run(count, t)
	} else {
		for i := range count { // all threads take one after the other
			t.product(pool, i, w)
		}
	}
	*t = productsTask{spaces: t.spaces}
}

func (t *productsTask) do(worker, i int) { t.product(nil, i, t.spaces[worker]) }

func (t *productsTask) product(pool *Pool, i int, w *Workspace) {
	lda, ldb := t.k, t.n
	if t.transA {
		lda = t.m
	}
	if t.transB {
		ldb = t.k
	}
	gemm(t.set, t.kind, pool, t.transA, t.transB, t.m, t.n, t.k, 1, t.a[i*t.m*t.k:], lda, t.b[i*t.k*t.n:], ldb, 0, t.c[i*t.m*t.n:], t.n, w)
}
