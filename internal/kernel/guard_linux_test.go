package kernel

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// guard hands out buffers that lie against pages that cannot be touched: a kernel that reads or
// writes one element too far faults. Every other buffer has the guard before it.
type guard struct {
	pages  [][]byte
	before bool
}

func newGuard(t interface{ Cleanup(func()) }) *guard {
	g := &guard{}
	t.Cleanup(func() { g.free() })
	return g
}

func (g *guard) free() {
	for _, p := range g.pages {
		if err := unix.Munmap(p); err != nil {
			panic(err)
		}
	}
	g.pages = nil
}

func (g *guard) floats(n int) []float32 {
	b := g.bytes(4 * n)
	if n == 0 {
		return []float32{}
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&b[0])), n)
}

func (g *guard) bytes(n int) []byte {
	page := unix.Getpagesize()
	inside := roundUp(max(n, 1), page)
	p, err := unix.Mmap(-1, 0, inside+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		panic(err)
	}
	g.pages = append(g.pages, p)
	for _, edge := range [][]byte{p[:page], p[page+inside:]} {
		if err := unix.Mprotect(edge, unix.PROT_NONE); err != nil {
			panic(err)
		}
	}
	g.before = !g.before
	if g.before {
		return p[page : page+n : page+n]
	}
	return p[page+inside-n : page+inside : page+inside]
}

func TestGuardFaults(t *testing.T) {
	g := newGuard(t)
	b := g.floats(3)
	b[0], b[2] = 1, 2
	if len(g.pages) != 1 {
		t.Fatal("no page")
	}
}
