package kernel

import (
	"testing"

	"pgregory.net/rapid"
)

// Joined convolutions give the bits of the two one after the other.
func TestSeparable(t *testing.T) {
	all := pools(t)
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		if set == portable { // has no kernel for lines
			c := Conv{InC: 8, OutC: 8, KernelH: 1, KernelW: 1, StrideH: 1, StrideW: 1}
			if _, err := PackSeparable(&PackedConv{conv: c}, &PackedConv{conv: c}, None); err == nil {
				t.Fatal("joined without a kernel")
			}
			return
		}
		r := random(t)
		num := func(name string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(t, name) }
		k, channels := 3+2*num("kernel", 0, 1), 8*num("channels", 1, 20)
		first := Conv{InC: num("in", 1, 40), OutC: channels, KernelH: 1, KernelW: 1, StrideH: 1, StrideW: 1}
		second := Conv{
			InC: channels, OutC: channels, Groups: channels, KernelH: k, KernelW: k, StrideH: num("stride", 1, 2),
			PadTop: num("top", 0, 2), PadLeft: num("left", 0, 2), PadBottom: num("bottom", 0, 2), PadRight: num("right", 0, 2),
		}
		second.StrideW = second.StrideH
		if num("alias", 0, 5) == 0 {
			first.InC, first.OutC, second.InC, second.OutC, second.Groups = 512, 16, 16, 16, 16
			channels = 16
		}
		n, h, w := num("n", 0, 2), num("h", 1, 20), num("w", 1, 40)
		if !joins(set, first, second) {
			t.Fatal("there is a kernel for lines")
		}
		oh, ow := second.OutSize(h, w)
		half := rapid.Bool().Draw(t, "half")
		a, err := packConv(set, first, fill(r, g.floats(first.WeightSize())), fill(r, g.floats(channels)), false, PackOptions{Half: half})
		if err != nil {
			t.Fatal(err)
		}
		b, err := packConv(set, second, fill(r, g.floats(second.WeightSize())), fill(r, g.floats(channels)), false, PackOptions{})
		if err != nil {
			t.Fatal(err)
		}
		between, act := rapid.SampledFrom(activations).Draw(t, "between"), rapid.SampledFrom(activations).Draw(t, "activation")
		joined, err := PackSeparable(a, b, between)
		if err != nil {
			t.Fatal(err)
		}
		v := ConvView{N: n, H: h, W: w, SrcPitch: first.InC + num("src pitch", 0, 3), DstPitch: channels + num("dst pitch", 0, 3)}
		v.Src = fill(r, g.floats(banded(n*h*w, v.SrcPitch, first.InC)))
		v.Dst = g.floats(banded(n*oh*ow, v.DstPitch, channels))
		middle, want := make([]float32, n*h*w*channels), make([]float32, len(v.Dst))
		apart := v
		apart.Dst, apart.DstPitch = middle, channels
		a.RunView(nil, apart, between, nil)
		apart = v
		apart.Src, apart.SrcPitch, apart.Dst = middle, channels, want
		b.RunView(nil, apart, act, nil)
		workspace := &Workspace{}
		for _, pool := range append(all, nil) {
			clear(v.Dst)
			joined.RunView(pool, v, act, workspace)
			same(t, "dst", v.Dst, want)
		}
	})
}

func TestSeparableAllocatesNothing(t *testing.T) {
	if active() == portable {
		t.Skip("there is no kernel for lines")
	}
	first, second := Conv{InC: 16, OutC: 96, KernelH: 1, KernelW: 1, StrideH: 1, StrideW: 1}, Conv{InC: 96, OutC: 96, Groups: 96, KernelH: 3, KernelW: 3, StrideH: 1, StrideW: 1, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1}
	a, err := PackConv(first, make([]float32, first.WeightSize()), nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := PackConv(second, make([]float32, second.WeightSize()), nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := PackSeparable(a, b, ReLU)
	if err != nil {
		t.Fatal(err)
	}
	pool, w := NewPool(2), &Workspace{}
	defer pool.Close()
	v := ConvView{Dst: make([]float32, 2*28*28*96), Src: make([]float32, 2*28*28*16), N: 2, H: 28, W: 28}
	nothingAllocated(t, "separable", func() { p.RunView(pool, v, ReLU, w) })
}
