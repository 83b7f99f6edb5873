package kernel

import (
	"fmt"
	"unsafe"
)

// Workspace is the scratch memory of operations that run one after another. Its zero value is
// ready; it grows to the need of the largest operation and then stays. It must not be used by two
// operations at the same time.
type Workspace struct {
	shared []float32
	wide   [3][]float32 // tensors of other types, widened to float32
	locals []local

	// The frames of the operations, kept here so that running one allocates nothing.
	conv      convTask
	depthwise depthwiseTask
	separable separableTask
	winograd  winogradTask
	gemm      gemmTask
	patches   patches
	plain     plainMatrix
	products  productsTask
	attention attentionTask
	denseInt8 denseInt8Task
}

// local is the scratch memory of one thread.
type local struct {
	floats []float32
	tile   tile
	line   depthwiseLine
	lines  [5]int // of a separable convolution: what the ring of lines holds
	square winogradTile
	taps   []int
	_      [64]byte // keeps the frames of two threads off one cache line
}

// Bytes returns the memory the workspace holds.
func (w *Workspace) Bytes() int {
	n := cap(w.shared) + cap(w.wide[0]) + cap(w.wide[1]) + cap(w.wide[2])
	for i := range w.locals {
		n += cap(w.locals[i].floats)
	}
	for _, space := range w.products.spaces {
		n += space.Bytes() / 4
	}
	for _, space := range w.attention.spaces {
		n += space.Bytes()/4 + cap(space.floats)
	}
	return 4 * n
}

// orNew lets callers pass nil for a workspace that lives for one operation.
func (w *Workspace) orNew() *Workspace {
	if w == nil {
		return new(Workspace)
	}
	return w
}

// reserve makes sure of shared floats for all threads, and of floats and taps for each.
func (w *Workspace) reserve(threads, shared, floats, taps int) {
	if len(w.shared) < shared {
		w.shared = aligned(shared)
	}
	for len(w.locals) < threads {
		w.locals = append(w.locals, local{})
	}
	for i := range threads {
		l := &w.locals[i]
		if len(l.floats) < floats {
			l.floats = aligned(floats)
		}
		if len(l.taps) < taps {
			l.taps = make([]int, taps)
		}
	}
}

// widened returns space i for n floats.
func (w *Workspace) widened(i, n int) []float32 {
	if len(w.wide[i]) < n {
		w.wide[i] = aligned(n)
	}
	return w.wide[i][:n]
}

// Memory returns n floats that start at a cache line and, if they are many, lie in huge pages where the
// system has them.
func Memory(n int) []float32 { return aligned(n) }

// aligned is Memory.
func aligned(n int) []float32 {
	const line = 16
	s := make([]float32, n+line)
	hugePages(s)
	skip := 0
	if r := int(uintptr(unsafe.Pointer(unsafe.SliceData(s)))/4) % line; r != 0 {
		skip = line - r
	}
	return s[skip : skip+n : skip+n]
}

// need panics when s is shorter than n elements.
func need[E any](operation, name string, s []E, n int) {
	if len(s) < n {
		panic(fmt.Sprintf("kernel: %s: %s has %d elements, needs %d", operation, name, len(s), n))
	}
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

func roundUp(a, b int) int { return ceilDiv(a, b) * b }
