package kernel

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestConvAgainstDefinition(t *testing.T)          { testConv(t, false) }
func TestDepthwiseConvAgainstDefinition(t *testing.T) { testConv(t, true) }

func testConv(t *testing.T, depthwise bool) {
	all := pools(t)
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		c, n, h, w := drawConv(t, depthwise)
		oh, ow := c.OutSize(h, w)
		weights := fill(r, g.floats(c.WeightSize()))
		var bias, residual []float32
		if rapid.Bool().Draw(t, "bias") {
			bias = fill(r, g.floats(c.OutC))
		}
		p, err := packConv(set, c, weights, bias, false, PackOptions{})
		if err != nil {
			t.Fatal(err)
		}
		// Dense tensors of exactly the right length.
		src := fill(r, g.floats(n*h*w*c.InC))
		dst := fill(r, g.floats(n*oh*ow*c.OutC))
		if rapid.Bool().Draw(t, "residual") {
			residual = fill(r, g.floats(len(dst)))
		}
		act := rapid.SampledFrom(activations).Draw(t, "activation")
		want := convolve(c, weights, bias, src, n, h, w, nil)
		for i := range want {
			if residual != nil {
				want[i] += float64(residual[i])
			}
			want[i] = activation64(act, want[i])
		}
		pool := all[rapid.IntRange(0, len(all)-1).Draw(t, "pool")]
		p.Run(pool, dst, src, n, h, w, residual, act, nil)
		near(t, "dst", dst, want, 2e-5, 8)

		// Another number of threads gives the same bytes, also with the residual in place.
		again := g.floats(len(dst))
		for _, other := range append(all, nil) {
			copy(again, residual)
			var in []float32
			if residual != nil {
				in = again
			}
			p.Run(other, again, src, n, h, w, in, act, nil)
			same(t, "dst by threads", again, dst)
		}

		// Bands of wider tensors give the same and leave the rest alone.
		inPitch, outPitch := c.InC+rapid.IntRange(0, 9).Draw(t, "inPitch"), c.OutC+rapid.IntRange(0, 9).Draw(t, "outPitch")
		if len(dst) == 0 {
			return
		}
		wideIn := g.floats((n*h*w-1)*inPitch + c.InC)
		gather(portable, wideIn, inPitch, src, c.InC, n*h*w, c.InC)
		wideOut := g.floats((n*oh*ow-1)*outPitch + c.OutC)
		for i := range wideOut {
			wideOut[i] = 77
		}
		p.RunView(pool, ConvView{Dst: wideOut, DstPitch: outPitch, Src: wideIn, SrcPitch: inPitch, Residual: residual, N: n, H: h, W: w}, act, nil)
		for i, v := range wideOut {
			if i%outPitch >= c.OutC {
				if v != 77 {
					t.Fatalf("wrote between bands: [%d] = %v", i, v)
				}
			} else {
				same(t, "band", wideOut[i:i+1], dst[i/outPitch*c.OutC+i%outPitch:])
			}
		}
	})
}

// A scale of the input is that of a tensor scaled beforehand.
func TestConvScalesItsInput(t *testing.T) {
	all := pools(t)
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		c, n, h, w := drawConv(t, false)
		if c.withDefaults().Depthwise() {
			t.Skip()
		}
		oh, ow := c.OutSize(h, w)
		p, err := packConv(set, c, fill(r, g.floats(c.WeightSize())), nil, false, PackOptions{})
		if err != nil {
			t.Fatal(err)
		}
		src := fill(r, g.floats(n*h*w*c.InC))
		scaled, got, want := g.floats(len(src)), g.floats(n*oh*ow*c.OutC), g.floats(n*oh*ow*c.OutC)
		scale, shift := fill(r, g.floats(c.InC)), fill(r, g.floats(c.InC))
		before := rapid.SampledFrom([]Activation{None, ReLU, ReLU6}).Draw(t, "before")
		pool := all[rapid.IntRange(0, len(all)-1).Draw(t, "pool")]
		scaleShift(set, nil, scaled, src, scale, shift, n*h*w, c.InC, c.InC, c.InC, before)
		p.Run(pool, want, scaled, n, h, w, nil, ReLU, nil)
		p.RunView(pool, ConvView{Dst: got, Src: src, N: n, H: h, W: w, Scale: scale, Shift: shift, Before: before}, ReLU, nil)
		same(t, "dst", got, want)
	})
}

func TestConvBackwardAgainstDefinition(t *testing.T)          { testConvBackward(t, false) }
func TestDepthwiseConvBackwardAgainstDefinition(t *testing.T) { testConvBackward(t, true) }

func testConvBackward(t *testing.T, depthwise bool) {
	all := pools(t)
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		c, n, h, w := drawConv(t, depthwise)
		oh, ow := c.OutSize(h, w)
		weights := fill(r, g.floats(c.WeightSize()))
		src := fill(r, g.floats(n*h*w*c.InC))
		ddst := fill(r, g.floats(n*oh*ow*c.OutC))
		wantData := make([]float64, len(src))
		wantWeights := make([]float64, len(weights))
		convolve(c, weights, nil, src, n, h, w, func(out, in, weight int) {
			wantData[in] += float64(ddst[out]) * float64(weights[weight])
			wantWeights[weight] += float64(ddst[out]) * float64(src[in])
		})
		wantBias := make([]float64, c.OutC)
		for i, v := range ddst {
			wantBias[i%c.OutC] += float64(v)
		}
		p, err := packConv(set, c, weights, nil, true, PackOptions{})
		if err != nil {
			t.Fatal(err)
		}
		dsrc := fill(r, g.floats(len(src)))
		p.Run(all[0], dsrc, ddst, n, h, w, nil, None, nil)
		near(t, "dsrc", dsrc, wantData, 2e-5, 8)
		dweights := fill(r, g.floats(len(weights)))
		dbias := fill(r, g.floats(c.OutC))
		convBackwardWeights(set, elementFloat32, all[0], c.withDefaults(), dweights, dbias, src, ddst, n, h, w, nil)
		near(t, "dweights", dweights, wantWeights, 3e-5, 10)
		near(t, "dbias", dbias, wantBias, 2e-5, 8)
		for _, other := range all[1:] {
			a := fill(r, g.floats(len(src)))
			p.Run(other, a, ddst, n, h, w, nil, None, nil)
			same(t, "dsrc by threads", a, dsrc)
			b := fill(r, g.floats(len(weights)))
			convBackwardWeights(set, elementFloat32, other, c.withDefaults(), b, dbias, src, ddst, n, h, w, nil)
			same(t, "dweights by threads", b, dweights)
		}
	})
}

func TestConvValidate(t *testing.T) {
	good := Conv{InC: 4, OutC: 6, KernelH: 3, KernelW: 3, StrideH: 1, StrideW: 1, Groups: 2}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Conv){
		"channels": func(c *Conv) { c.InC = 0 },
		"kernel":   func(c *Conv) { c.KernelW = 0 },
		"stride":   func(c *Conv) { c.StrideH = 0 },
		"padding":  func(c *Conv) { c.PadLeft = -1 },
		"dilation": func(c *Conv) { c.DilationW = -1 },
		"groups":   func(c *Conv) { c.Groups = 4 },
	} {
		c := good
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := PackConv(c, nil, nil); err == nil {
			t.Errorf("%s: packed", name)
		}
	}
	if _, err := PackConv(good, make([]float32, 5), nil); err == nil {
		t.Error("packed too few weights")
	}
	if _, err := PackConv(good, make([]float32, good.WeightSize()), make([]float32, 5)); err == nil {
		t.Error("packed too few biases")
	}
}

func TestShortSlicePanics(t *testing.T) {
	c := Conv{InC: 3, OutC: 5, KernelH: 3, KernelW: 3, StrideH: 1, StrideW: 1}
	p, err := PackConv(c, make([]float32, c.WeightSize()), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct {
		name     string
		dst, src int
	}{{"dst", 4*4*5 - 1, 6 * 6 * 3}, {"src", 4 * 4 * 5, 6*6*3 - 1}} {
		func() {
			defer func() {
				if r, ok := recover().(string); !ok || !strings.Contains(r, v.name) {
					t.Errorf("%s: %v", v.name, r)
				}
			}()
			p.Run(nil, make([]float32, v.dst), make([]float32, v.src), 1, 6, 6, nil, None, nil)
		}()
	}
}

func TestSame(t *testing.T) {
	for _, v := range []struct{ size, kernel, stride, before, after int }{
		{224, 3, 2, 0, 1}, {225, 3, 2, 1, 1}, {112, 3, 1, 1, 1}, {112, 5, 2, 1, 2}, {7, 1, 1, 0, 0}, {8, 1, 2, 0, 0},
	} {
		if b, a := Same(v.size, v.kernel, v.stride, 1); b != v.before || a != v.after {
			t.Errorf("%+v: %d and %d", v, b, a)
		}
	}
}

func TestConvAllocatesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	pool := NewPool(2)
	defer pool.Close()
	for _, c := range []Conv{
		{InC: 40, OutC: 70, KernelH: 1, KernelW: 1, StrideH: 1, StrideW: 1},
		{InC: 16, OutC: 40, KernelH: 3, KernelW: 3, StrideH: 2, StrideW: 2, PadTop: 1, PadLeft: 1},
		{InC: 40, OutC: 40, KernelH: 3, KernelW: 3, StrideH: 1, StrideW: 1, PadTop: 1, PadLeft: 1, Groups: 40},
	} {
		weights := fill(r, make([]float32, c.WeightSize()))
		p, err := PackConv(c, weights, nil)
		if err != nil {
			t.Fatal(err)
		}
		oh, ow := c.OutSize(14, 14)
		src, dst := make([]float32, 2*14*14*c.InC), make([]float32, 2*oh*ow*c.OutC)
		var w Workspace
		nothingAllocated(t, name("forward ", c.Groups), func() { p.Run(pool, dst, src, 2, 14, 14, nil, SiLU, &w) })
		q, err := PackConvGradient(c, weights)
		if err != nil {
			t.Fatal(err)
		}
		nothingAllocated(t, name("data gradient ", c.Groups), func() { q.Run(pool, src, dst, 2, 14, 14, nil, None, &w) })
		nothingAllocated(t, name("weight gradient ", c.Groups), func() {
			convBackwardWeights(active(), elementFloat32, pool, c.withDefaults(), weights, nil, src, dst, 2, 14, 14, &w)
		})
		nothingAllocated(t, name("repack ", c.Groups), func() {
			if err := p.Repack(weights, nil); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A scale of the output channels is that of their weights.
func TestPackedConvIsScaled(t *testing.T) {
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		c, n, h, w := drawConv(t, rapid.Bool().Draw(t, "depthwise"))
		if rapid.Bool().Draw(t, "winograd") {
			c = square(16*rapid.IntRange(1, 3).Draw(t, "in"), 16*rapid.IntRange(1, 3).Draw(t, "out"), 3, 1, 1)
		}
		algorithm := rapid.SampledFrom([]Algorithm{Plain, Winograd2, Winograd4}).Draw(t, "algorithm")
		weights, scale := fill(r, g.floats(c.WeightSize())), fill(r, g.floats(c.OutC))
		scaled := make([]float32, len(weights))
		for i, v := range weights {
			scaled[i] = v * scale[i/(len(weights)/c.OutC)]
		}
		oh, ow := c.OutSize(h, w)
		src, dst, want := fill(r, g.floats(n*h*w*c.InC)), g.floats(n*oh*ow*c.OutC), g.floats(n*oh*ow*c.OutC)
		for dst, o := range map[*[]float32]PackOptions{&dst: {Algorithm: algorithm, Scale: scale}, &want: {Algorithm: algorithm}} {
			from := weights
			if o.Scale == nil {
				from = scaled
			}
			p, err := packConv(set, c, from, nil, false, o)
			if err != nil {
				t.Fatal(err)
			}
			p.Run(nil, *dst, src, n, h, w, nil, None, nil)
		}
		for i, v := range want {
			if d := math.Abs(float64(dst[i] - v)); d > 1e-5*(1+math.Abs(float64(v))) {
				t.Fatalf("element %d is %v, want %v", i, dst[i], v)
			}
		}
	})
	if _, err := PackConvFor(square(4, 4, 1, 1, 1), make([]float32, 16), nil, PackOptions{Scale: make([]float32, 3)}); err == nil {
		t.Error("packed with too few scales")
	}
}
