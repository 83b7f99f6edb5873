package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// sets returns the instruction sets this processor has.
func sets() []isa {
	all := []isa{portable, avx2, avx512}
	return all[:detect()+1]
}

// eachSet runs a property test for every instruction set.
func eachSet(t *testing.T, property func(t *rapid.T, set isa, g *guard)) {
	for _, set := range sets() {
		t.Run(set.String(), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				g := newGuard(t)
				property(t, set, g)
			})
		})
	}
}

func random(t *rapid.T) *rand.Rand {
	return rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
}

// fill sets x to values around zero.
func fill(r *rand.Rand, x []float32) []float32 {
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// near fails unless got is within tolerance·(scale + |want|).
func near(t interface{ Fatalf(string, ...any) }, what string, got []float32, want []float64, tolerance, scale float64) {
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - w); !(d <= tolerance*(scale+math.Abs(w))) {
			t.Fatalf("%s[%d] = %v, want %v", what, i, got[i], w)
		}
	}
}

func same(t interface{ Fatalf(string, ...any) }, what string, a, b []float32) {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			t.Fatalf("%s[%d]: %v and %v", what, i, a[i], b[i])
		}
	}
}

func drawConv(t *rapid.T, depthwise bool) (c Conv, n, h, w int) {
	num := func(name string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(t, name) }
	c = Conv{
		KernelH: num("kernelH", 1, 5), KernelW: num("kernelW", 1, 5),
		StrideH: num("strideH", 1, 3), StrideW: num("strideW", 1, 3),
		DilationH: num("dilationH", 0, 2), DilationW: num("dilationW", 0, 2),
		PadTop: num("padTop", 0, 3), PadLeft: num("padLeft", 0, 3), PadBottom: num("padBottom", 0, 3), PadRight: num("padRight", 0, 3),
	}
	if num("common", 0, 1) == 0 { // what networks have
		k, s := 2*num("kernel", 1, 2)+1, num("stride", 1, 2)
		c.KernelH, c.KernelW, c.StrideH, c.StrideW, c.DilationH, c.DilationW = k, k, s, s, 1, 1
	}
	if depthwise {
		c.InC = num("channels", 2, 150)
		c.OutC, c.Groups = c.InC, c.InC
	} else {
		c.Groups = []int{0, 1, 1, 2, 3}[num("groups", 0, 4)]
		c.InC = max(c.Groups, 1) * num("inC", 1, 40)
		c.OutC = max(c.Groups, 1) * num("outC", 1, 75)
		if num("pointwise", 0, 2) == 0 {
			c.KernelH, c.KernelW = 1, 1
			if num("plain", 0, 1) == 0 {
				c = Conv{InC: c.InC, OutC: c.OutC, KernelH: 1, KernelW: 1, StrideH: 1, StrideW: 1}
				if num("alias", 0, 4) == 0 {
					c.InC = 512
				}
			}
		}
	}
	return c, num("n", 0, 2), num("h", 1, 17), num("w", 1, 17)
}

// convolve is the definition of a convolution, in float64.
func convolve(c Conv, weights, bias, src []float32, n, h, w int, visit func(out, in, weight int)) []float64 {
	c = c.withDefaults()
	oh, ow := c.OutSize(h, w)
	in, out := c.InC/c.Groups, c.OutC/c.Groups
	dst := make([]float64, n*oh*ow*c.OutC)
	for i := range dst {
		o := i % c.OutC
		x := i / c.OutC % ow
		y := i / c.OutC / ow % oh
		image := i / c.OutC / ow / oh
		var sum float64
		if bias != nil {
			sum = float64(bias[o])
		}
		for ky := range c.KernelH {
			for kx := range c.KernelW {
				iy, ix := y*c.StrideH-c.PadTop+ky*c.DilationH, x*c.StrideW-c.PadLeft+kx*c.DilationW
				if iy < 0 || iy >= h || ix < 0 || ix >= w {
					continue
				}
				for k := range in {
					a := ((image*h+iy)*w+ix)*c.InC + o/out*in + k
					b := ((o*c.KernelH+ky)*c.KernelW+kx)*in + k
					if visit != nil {
						visit(i, a, b)
					} else {
						sum += float64(src[a]) * float64(weights[b])
					}
				}
			}
		}
		dst[i] = sum
	}
	return dst
}

// activation64 is the definition of an activation, in float64.
func activation64(a Activation, x float64) float64 {
	switch a {
	case ReLU:
		return max(x, 0)
	case ReLU6:
		return min(max(x, 0), 6)
	case SiLU:
		return x / (1 + math.Exp(-x))
	case HardSwish:
		return x * min(max(x+3, 0), 6) / 6
	case Sigmoid:
		return 1 / (1 + math.Exp(-x))
	case Tanh:
		return math.Tanh(x)
	case GELU:
		return x * (1 + math.Erf(x/math.Sqrt2)) / 2
	case GELUTanh:
		return x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))) / 2
	case QuickGELU:
		return x / (1 + math.Exp(-1.702*x))
	}
	return x
}

var activations = []Activation{None, ReLU, ReLU6, SiLU, HardSwish, Sigmoid, Tanh, GELU, GELUTanh, QuickGELU}

func pools(t *testing.T) []*Pool {
	var all []*Pool
	for _, n := range []int{1, 2, 3} {
		p := NewPool(n)
		t.Cleanup(p.Close)
		all = append(all, p)
	}
	return all
}

// nothingAllocated fails when the second and later runs of f allocate.
func nothingAllocated(t *testing.T, what string, f func()) {
	t.Helper()
	f()
	if n := testing.AllocsPerRun(10, f); n >= 1 {
		t.Errorf("%s: %v allocations a run", what, n)
	}
}

func name(parts ...any) string { return fmt.Sprint(parts...) }
