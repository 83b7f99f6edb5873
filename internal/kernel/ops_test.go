package kernel

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestActivationsAgainstDefinition(t *testing.T) {
	special := []float32{0, float32(math.Copysign(0, -1)), 3, -3, 6, 1e-30, -1e-30, 88, -88, 104, -104, 1e30, -1e30}
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		act := rapid.SampledFrom(activations).Draw(t, "activation")
		x := fill(r, g.floats(rapid.IntRange(0, 300).Draw(t, "n")))
		for i := range x {
			x[i] *= 4
			if i < len(special) {
				x[i] = special[i]
			}
		}
		want := make([]float64, len(x))
		for i, v := range x {
			want[i] = activation64(act, float64(v))
		}
		y := g.floats(len(x))
		activate(set, nil, y, x, act)
		near(t, act.String(), y, want, 3e-6, 0.05)
		d := fill(r, g.floats(len(x)))
		for i, v := range x {
			want[i] = float64(d[i]) * slope64(act, float64(v))
		}
		activateBackward(set, nil, y, d, x, act)
		near(t, act.String()+" gradient", y, want, 4e-6, 1)
		if len(x) > 0 {
			x[0] = float32(math.NaN())
			activate(set, nil, x, x, act)
			if x[0] == x[0] {
				t.Fatalf("%v hides a NaN", act)
			}
		}
	})
}

// slope64 is the definition of a derivative: a difference quotient, one-sided at a kink.
func slope64(a Activation, x float64) float64 {
	const h = 1e-6
	kink := x == 0 && (a == ReLU || a == ReLU6) || x == 6 && a == ReLU6 || math.Abs(x) == 3 && a == HardSwish
	switch {
	case kink && a == HardSwish && x > 0:
		return 1
	case kink:
		return 0
	case math.Abs(x) > 1e3:
		if x > 0 && a != ReLU6 && a != Sigmoid && a != Tanh {
			return 1
		}
		if a == None {
			return 1
		}
		return 0
	case math.Abs(x) < 1e-20 && (a == ReLU || a == ReLU6):
		if x > 0 {
			return 1
		}
		return 0
	}
	return (activation64(a, x+h) - activation64(a, x-h)) / (2 * h)
}

func TestElementwise(t *testing.T) {
	all := pools(t)
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		pool := all[rapid.IntRange(0, 2).Draw(t, "pool")]
		n := rapid.IntRange(0, 200).Draw(t, "n")
		if rapid.IntRange(0, 9).Draw(t, "large") == 0 {
			n += 3 * grainFloats
		}
		a, b, dst := fill(r, g.floats(n)), fill(r, g.floats(n)), g.floats(n)
		want := make([]float64, n)
		act := rapid.SampledFrom(activations).Draw(t, "activation")
		for i := range a {
			want[i] = activation64(act, float64(a[i]+b[i]))
		}
		add(set, pool, dst, a, b, act)
		near(t, "add", dst, want, 3e-6, 1)
		for i := range a {
			want[i] = float64(a[i] * b[i])
		}
		mul(set, pool, dst, a, b)
		near(t, "mul", dst, want, 0, 0)
	})
}

func TestChannels(t *testing.T) {
	all := pools(t)
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		pool := all[rapid.IntRange(0, 2).Draw(t, "pool")]
		n, pixels, c := rapid.IntRange(0, 3).Draw(t, "n"), rapid.IntRange(0, 50).Draw(t, "pixels"), rapid.IntRange(1, 70).Draw(t, "c")
		x, d := fill(r, g.floats(n*pixels*c)), fill(r, g.floats(n*pixels*c))
		scale := fill(r, g.floats(n*c))
		dst, dscale := g.floats(len(x)), g.floats(n*c)
		want, wantScale := make([]float64, len(x)), make([]float64, n*c)
		mulChannels(set, pool, dst, x, scale, n, pixels, c)
		for i, v := range x {
			want[i] = float64(v * scale[i/c/max(pixels, 1)*c+i%c])
		}
		near(t, "mul channels", dst, want, 0, 0)
		mulChannelsBackward(set, pool, dst, dscale, d, x, scale, n, pixels, c)
		for i, v := range d {
			at := i/c/max(pixels, 1)*c + i%c
			want[i] = float64(v * scale[at])
			wantScale[at] += float64(v) * float64(x[i])
		}
		near(t, "mul channels dsrc", dst, want, 0, 0)
		near(t, "mul channels dscale", dscale, wantScale, 1e-5, 5)

		factor, shift := fill(r, g.floats(c)), fill(r, g.floats(c))
		act := rapid.SampledFrom(activations).Draw(t, "activation")
		scaleShift(set, pool, dst, x, factor, shift, n*pixels, c, c, c, act)
		for i, v := range x {
			want[i] = activation64(act, float64(v)*float64(factor[i%c])+float64(shift[i%c]))
		}
		near(t, "scale and shift", dst, want, 4e-6, 1)
		globalAvgPool(set, pool, dscale, x, n, pixels, c)
		clear(wantScale)
		for i, v := range x {
			wantScale[i/c/max(pixels, 1)*c+i%c] += float64(v) / float64(pixels)
		}
		near(t, "global average", dscale, wantScale, 1e-5, 1)
	})
}

func drawPooling(t *rapid.T) Pooling {
	num := func(name string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(t, name) }
	p := Pooling{KernelH: num("kh", 1, 4), KernelW: num("kw", 1, 4), StrideH: num("sh", 1, 3), StrideW: num("sw", 1, 3),
		Ceil: rapid.Bool().Draw(t, "ceil"), CountPadding: rapid.Bool().Draw(t, "count")}
	p.PadTop, p.PadBottom = num("pt", 0, p.KernelH-1), num("pb", 0, p.KernelH-1)
	p.PadLeft, p.PadRight = num("pl", 0, p.KernelW-1), num("pr", 0, p.KernelW-1)
	return p
}

func TestPooling(t *testing.T) {
	all := pools(t)
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		num := func(name string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(t, name) }
		p := drawPooling(t)
		n, h, w, c := num("n", 0, 2), num("h", 1, 12), num("w", 1, 12), num("c", 1, 70)
		oh, ow := p.OutSize(h, w)
		x := fill(r, g.floats(n*h*w*c))
		d := fill(r, g.floats(n*oh*ow*c))
		top, mean := make([]float64, len(d)), make([]float64, len(d))
		dTop, dMean := make([]float64, len(x)), make([]float64, len(x))
		for i := range d {
			ch, ox, oy, image := i%c, i/c%ow, i/c/ow%oh, i/c/ow/oh
			best, count := -1, 0
			var seen []int
			for y := oy*p.StrideH - p.PadTop; y < oy*p.StrideH-p.PadTop+p.KernelH; y++ {
				for xx := ox*p.StrideW - p.PadLeft; xx < ox*p.StrideW-p.PadLeft+p.KernelW; xx++ {
					inside := y >= 0 && y < h && xx >= 0 && xx < w
					if inside {
						at := ((image*h+y)*w+xx)*c + ch
						seen = append(seen, at)
						if best < 0 || x[at] > x[best] {
							best = at
						}
					}
					if inside || p.CountPadding && y < h+p.PadBottom && xx < w+p.PadRight {
						count++
					}
				}
			}
			top[i] = float64(x[best])
			dTop[best] += float64(d[i])
			for _, at := range seen {
				mean[i] += float64(x[at]) / float64(count)
				dMean[at] += float64(d[i]) / float64(count)
			}
		}
		dst, dsrc := g.floats(len(d)), fill(r, g.floats(len(x)))
		for _, pool := range all {
			maxPool(set, pool, p, dst, x, n, h, w, c)
			near(t, "max", dst, top, 0, 0)
			avgPool(set, pool, p, dst, x, n, h, w, c)
			near(t, "average", dst, mean, 1e-5, 1)
			maxPoolBackward(set, pool, p, dsrc, d, x, n, h, w, c)
			near(t, "max gradient", dsrc, dTop, 1e-5, 1)
			avgPoolBackward(set, pool, p, dsrc, d, n, h, w, c)
			near(t, "average gradient", dsrc, dMean, 1e-5, 1)
		}
		if len(x) > 0 {
			all := make([]float32, n*c)
			GlobalMaxPool(nil, all, x, n, h*w, c)
			for i, v := range all {
				for j := range h * w {
					if x[(i/c*h*w+j)*c+i%c] > v {
						t.Fatalf("global max")
					}
				}
			}
			gdsrc := make([]float32, len(x))
			GlobalAvgPoolBackward(nil, gdsrc, all, n, h*w, c)
			if math.Abs(float64(gdsrc[0]*float32(h*w)-all[0])) > 1e-5 {
				t.Fatalf("global average gradient")
			}
		}
	})
}

// PyTorch's output sizes, with ceil_mode.
func TestPoolingSizes(t *testing.T) {
	for _, v := range []struct {
		p    Pooling
		size int
		want int
	}{
		{Pooling{KernelH: 3, KernelW: 3, StrideH: 2, StrideW: 2, PadTop: 1, PadBottom: 1, PadLeft: 1, PadRight: 1}, 112, 56},
		{Pooling{KernelH: 3, KernelW: 3, StrideH: 2, StrideW: 2, Ceil: true}, 112, 56},
		{Pooling{KernelH: 3, KernelW: 3, StrideH: 2, StrideW: 2}, 112, 55},
		{Pooling{KernelH: 2, KernelW: 2, StrideH: 2, StrideW: 2, Ceil: true}, 7, 4},
		{Pooling{KernelH: 2, KernelW: 2, StrideH: 3, StrideW: 3, Ceil: true}, 5, 2},
		{Pooling{KernelH: 1, KernelW: 1, StrideH: 3, StrideW: 3, Ceil: true}, 3, 1},
		{Pooling{KernelH: 3, KernelW: 3, StrideH: 1, StrideW: 1}, 2, 0},
	} {
		if h, _ := v.p.OutSize(v.size, v.size); h != v.want {
			t.Errorf("%+v of %d: %d, want %d", v.p, v.size, h, v.want)
		}
	}
	for _, p := range []Pooling{{}, {KernelH: 2, KernelW: 2}, {KernelH: 2, KernelW: 2, StrideH: 1, StrideW: 1, PadTop: 2}, {KernelH: 2, KernelW: 2, StrideH: 1, StrideW: 1, PadTop: -1}} {
		if p.Validate() == nil {
			t.Errorf("%+v is valid", p)
		}
	}
}

func TestSoftmax(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := random(t)
		rows, columns := rapid.IntRange(0, 5).Draw(t, "rows"), rapid.IntRange(1, 40).Draw(t, "columns")
		x, d := fill(r, make([]float32, rows*columns)), fill(r, make([]float32, rows*columns))
		for i := range x {
			x[i] *= rapid.SampledFrom([]float32{1, 1000}).Draw(t, "scale")
		}
		p, lp, dp, dlp := make([]float64, len(x)), make([]float64, len(x)), make([]float64, len(x)), make([]float64, len(x))
		for i := range rows {
			row := x[i*columns:][:columns]
			top, total := float64(greatest(row)), 0.0
			for _, v := range row {
				total += math.Exp(float64(v) - top)
			}
			var dot, sum float64
			for j, v := range row {
				lp[i*columns+j] = float64(v) - top - math.Log(total)
				p[i*columns+j] = math.Exp(lp[i*columns+j])
				dot += p[i*columns+j] * float64(d[i*columns+j])
				sum += float64(d[i*columns+j])
			}
			for j := range row {
				at := i*columns + j
				dp[at] = p[at] * (float64(d[at]) - dot)
				dlp[at] = float64(d[at]) - p[at]*sum
			}
		}
		y, dx := make([]float32, len(x)), make([]float32, len(x))
		Softmax(nil, y, x, rows, columns)
		near(t, "softmax", y, p, 1e-5, 1)
		SoftmaxBackward(nil, dx, d, y, rows, columns)
		near(t, "softmax gradient", dx, dp, 1e-5, 1)
		LogSoftmax(nil, y, x, rows, columns)
		near(t, "log-softmax", y, lp, 1e-5, 1)
		LogSoftmaxBackward(nil, dx, d, y, rows, columns)
		near(t, "log-softmax gradient", dx, dlp, 1e-5, 1)
	})
}

func TestNorms(t *testing.T) {
	all := pools(t)
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		rows, c := rapid.IntRange(1, 40).Draw(t, "rows"), rapid.IntRange(2, 70).Draw(t, "c")
		if rapid.IntRange(0, 9).Draw(t, "large") == 0 {
			rows += 600
		}
		const epsilon = 1e-3
		x, d := fill(r, g.floats(rows*c)), fill(r, g.floats(rows*c))
		gamma, beta := fill(r, g.floats(c)), fill(r, g.floats(c))
		dst, mean, variance := g.floats(rows*c), g.floats(c), g.floats(c)
		dx, dgamma, dbeta := g.floats(rows*c), g.floats(c), g.floats(c)
		want := normDefinition(x, d, gamma, beta, epsilon, rows, c, true)
		for _, pool := range all {
			batchNorm(set, pool, dst, mean, variance, x, gamma, beta, epsilon, rows, c, None)
			near(t, "batch-norm", dst, want.y, 1e-4, 1)
			batchNormBackward(set, pool, dx, dgamma, dbeta, d, x, gamma, mean, variance, epsilon, rows, c)
			near(t, "batch-norm dx", dx, want.dx, 2e-3, 1)
			near(t, "batch-norm dgamma", dgamma, want.dgamma, 1e-4, 5)
			near(t, "batch-norm dbeta", dbeta, want.dbeta, 1e-4, 1)
		}
		want = normDefinition(x, d, gamma, beta, epsilon, rows, c, false)
		rowMean, rowScale := g.floats(rows), g.floats(rows)
		layerNorm(set, all[1], dst, rowMean, rowScale, x, gamma, beta, epsilon, rows, c)
		near(t, "layer-norm", dst, want.y, 1e-4, 1)
		layerNormBackward(set, all[1], dx, dgamma, dbeta, d, x, gamma, rowMean, rowScale, rows, c)
		near(t, "layer-norm dx", dx, want.dx, 2e-3, 1)
		near(t, "layer-norm dgamma", dgamma, want.dgamma, 1e-4, 5)
		near(t, "layer-norm dbeta", dbeta, want.dbeta, 1e-4, 1)
		layerNorm(set, nil, dst, nil, nil, x, gamma, beta, epsilon, rows, c)
		near(t, "layer-norm", dst, want.y, 1e-4, 1)
	})
}

type normResult struct{ y, dx, dgamma, dbeta []float64 }

// normDefinition is batch-norm (over the columns of x) or layer-norm (over its rows), and its
// gradients by the chain rule, written out.
func normDefinition(x, d, gamma, beta []float32, epsilon float64, rows, c int, batch bool) normResult {
	r := normResult{make([]float64, len(x)), make([]float64, len(x)), make([]float64, c), make([]float64, c)}
	sets, size := c, rows
	at := func(set, i int) int { return i*c + set }
	if !batch {
		sets, size = rows, c
		at = func(set, i int) int { return set*c + i }
	}
	for s := range sets {
		var mean, variance float64
		for i := range size {
			mean += float64(x[at(s, i)]) / float64(size)
		}
		for i := range size {
			variance += math.Pow(float64(x[at(s, i)])-mean, 2) / float64(size)
		}
		root := math.Sqrt(variance + epsilon)
		var dVariance, dMean float64
		for i := range size {
			j := at(s, i)
			normal := (float64(x[j]) - mean) / root
			r.y[j] = normal*float64(gamma[j%c]) + float64(beta[j%c])
			r.dgamma[j%c] += float64(d[j]) * normal
			r.dbeta[j%c] += float64(d[j])
			g := float64(d[j]) * float64(gamma[j%c])
			dVariance -= g * normal / (2 * root * root)
			dMean -= g / root
		}
		for i := range size {
			j := at(s, i)
			g := float64(d[j]) * float64(gamma[j%c])
			r.dx[j] = g/root + dVariance*2*(float64(x[j])-mean)/float64(size) + dMean/float64(size)
		}
	}
	return r
}

func TestChoose(t *testing.T) {
	for _, v := range []struct {
		name       string
		best, want isa
		ok         bool
	}{{"", avx2, avx2, true}, {"avx2", avx512, avx2, true}, {"portable", avx512, portable, true}, {"avx512", avx2, avx2, false}, {"sse", avx512, avx512, false}} {
		got, err := choose(v.name, v.best)
		if got != v.want || (err == nil) != v.ok {
			t.Errorf("%+v: %v, %v", v, got, err)
		}
	}
	if name, err := InstructionSet(); name != active().String() || err != nil {
		t.Errorf("%s, %v", name, err)
	}
}

func TestOpsAllocateNothing(t *testing.T) {
	pool := NewPool(2)
	defer pool.Close()
	x, y := make([]float32, 64*1000), make([]float32, 64*1000)
	c := make([]float32, 64)
	p := Pooling{KernelH: 2, KernelW: 2, StrideH: 2, StrideW: 2}
	for _, pool := range []*Pool{nil, pool} {
		nothingAllocated(t, "add", func() { Add(pool, y, x, x, SiLU) })
		nothingAllocated(t, "activate", func() { Activate(pool, y, x, GELU) })
		nothingAllocated(t, "pool", func() { MaxPool(pool, p, y, x, 1, 40, 25, 64) })
		nothingAllocated(t, "pool gradient", func() { MaxPoolBackward(pool, p, y, x, y, 1, 40, 25, 64) })
		nothingAllocated(t, "norm", func() { BatchNorm(pool, y, c, c, x, c, c, 1, 1000, 64, None) })
		nothingAllocated(t, "softmax", func() { Softmax(pool, y, x, 1000, 64) })
	}
}
