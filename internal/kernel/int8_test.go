package kernel

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func TestConvInt8AgainstDefinition(t *testing.T) {
	all := pools(t)
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		c, n, h, w := drawConv(t, false)
		c.InC = roundUp(c.InC, 4*max(c.Groups, 1))
		if !c.PacksInt8() {
			t.Skip("as many outputs as fours of inputs")
		}
		oh, ow := c.OutSize(h, w)
		weights, bias := fill(r, g.floats(c.WeightSize())), fill(r, g.floats(c.OutC))
		zero := func(name string) uint8 { return rapid.Uint8().Draw(t, name) }
		o := Int8Options{
			Input: Quantization{0.02, zero("zero")}, Residual: Quantization{0.03, zero("residual zero")},
			Output: Quantization{0.05 * float32(1+c.KernelH*c.KernelW), zero("output zero")},
		}
		p, err := packConvInt8(set, c, weights, bias, o)
		if err != nil {
			t.Fatal(err)
		}
		v := Int8View{N: n, H: h, W: w, SrcPitch: c.InC + 4*rapid.IntRange(0, 2).Draw(t, "src pitch"), DstPitch: c.OutC + rapid.IntRange(0, 3).Draw(t, "dst pitch"), ResidualPitch: c.OutC + rapid.IntRange(0, 3).Draw(t, "residual pitch")}
		v.Src = g.randomBytes(r, banded(n*h*w, v.SrcPitch, c.InC))
		v.Dst = g.randomBytes(r, banded(n*oh*ow, v.DstPitch, c.OutC))
		if rapid.Bool().Draw(t, "residual") {
			v.Residual = g.randomBytes(r, banded(n*oh*ow, v.ResidualPitch, c.OutC))
		}
		act := rapid.SampledFrom([]Activation{None, ReLU, ReLU6}).Draw(t, "activation")
		steps, scales := quantizeWeights(c.withDefaults(), weights)
		each := len(weights) / c.OutC
		rounded := make([]float32, len(weights))
		for i, s := range steps {
			rounded[i] = float32(s) * scales[i/each]
			if d := math.Abs(float64(rounded[i] - weights[i])); d > 0.5001*float64(scales[i/each]) {
				t.Fatalf("weight %v became %v", weights[i], rounded[i])
			}
		}
		numbers := make([]float32, n*h*w*c.InC)
		for i := range numbers {
			numbers[i] = o.Input.Scale * float32(int(v.Src[i/c.InC*v.SrcPitch+i%c.InC])-int(o.Input.Zero))
		}
		sums := convolve(c, rounded, bias, numbers, n, h, w, nil)
		before := append([]uint8(nil), v.Dst...)
		p.RunView(all[0], v, act, nil)
		for i, sum := range sums {
			pixel, channel := i/c.OutC, i%c.OutC
			if v.Residual != nil {
				sum += float64(o.Residual.Scale) * float64(int(v.Residual[pixel*v.ResidualPitch+channel])-int(o.Residual.Zero))
			}
			want := min(max(activation64(act, sum)/float64(o.Output.Scale)+float64(o.Output.Zero), 0), 255)
			if got := v.Dst[pixel*v.DstPitch+channel]; math.Abs(float64(got)-want) > 0.51 {
				t.Fatalf("element %d is %d, want %v", i, got, want)
			}
		}
		for i, b := range before {
			if i%v.DstPitch >= c.OutC && v.Dst[i] != b {
				t.Fatalf("byte %d between the bands was written", i)
			}
		}

		// Portable arithmetic, any number of threads, and a residual that is the output give the same bytes.
		reference, err := packConvInt8(portable, c, weights, bias, o)
		if err != nil {
			t.Fatal(err)
		}
		for i, pool := range all {
			again := v
			again.Dst = g.randomBytes(r, banded(n*oh*ow, v.DstPitch, c.OutC))
			if v.Residual != nil && v.ResidualPitch == v.DstPitch {
				copy(again.Dst, v.Residual)
				again.Residual = again.Dst
			}
			if i == 0 {
				reference.RunView(pool, again, act, nil)
			} else {
				p.RunView(pool, again, act, nil)
			}
			for j := range again.Dst {
				if j%v.DstPitch < c.OutC && again.Dst[j] != v.Dst[j] {
					t.Fatalf("byte %d is %d and %d", j, v.Dst[j], again.Dst[j])
				}
			}
		}

		// The same, in float32.
		o.Output, o.Residual = Quantization{}, Quantization{}
		wide, err := packConvInt8(set, c, weights, bias, o)
		if err != nil {
			t.Fatal(err)
		}
		if reference, err = packConvInt8(portable, c, weights, bias, o); err != nil {
			t.Fatal(err)
		}
		v.Wide = g.floats(banded(n*oh*ow, v.DstPitch, c.OutC))
		if v.Residual != nil {
			v.WideResidual = fill(r, g.floats(banded(n*oh*ow, v.ResidualPitch, c.OutC)))
		}
		act = rapid.SampledFrom(activations).Draw(t, "activation of float32")
		wide.RunView(all[0], v, act, nil)
		for i, sum := range sums {
			pixel, channel := i/c.OutC, i%c.OutC
			if v.Residual != nil {
				sum += float64(v.WideResidual[pixel*v.ResidualPitch+channel])
			}
			want := activation64(act, sum)
			if got := v.Wide[pixel*v.DstPitch+channel]; math.Abs(float64(got)-want) > 1e-4*(1+math.Abs(sum)) {
				t.Fatalf("float32: element %d is %v, want %v", i, got, want)
			}
		}
		if _, _, curve := act.clamp(); curve == None {
			again := v
			again.Wide = g.floats(len(v.Wide))
			reference.RunView(nil, again, act, nil)
			for i := range sums {
				if at := i/c.OutC*v.DstPitch + i%c.OutC; again.Wide[at] != v.Wide[at] {
					t.Fatalf("float32: element %d is %v and %v", i, v.Wide[at], again.Wide[at])
				}
			}
		}
	})
}

// banded is the length of a buffer in which so many pixels lie at a distance.
func banded(pixels, pitch, channels int) int {
	if pixels == 0 {
		return 0
	}
	return (pixels-1)*pitch + channels
}

func TestMultiplicationsWithAdditionAreRoundedOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	number := func() float32 {
		for {
			if v := math.Float32frombits(r.Uint32()); math.Abs(float64(v)) < 1e12 && math.Abs(float64(v)) > 1e-12 {
				return v
			}
		}
	}
	for range 100_000 {
		a, b, c := number(), number(), number()
		if r.IntN(2) == 0 { // near a half of the last place of the sum
			c = float32(math.Ldexp(float64(a)*float64(b), r.IntN(60)-30))
		}
		exact := new(big.Float).SetPrec(300).SetFloat64(float64(a))
		exact.Mul(exact, big.NewFloat(float64(b)).SetPrec(300))
		exact.Add(exact, big.NewFloat(float64(c)).SetPrec(300))
		if want, _ := exact.Float32(); fma(a, b, c) != want {
			t.Fatalf("%v·%v + %v is %v, want %v", a, b, c, fma(a, b, c), want)
		}
	}
}

// Pixels of three channels become pixels of four.
func TestThrees(t *testing.T) {
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		pixels := rapid.IntRange(0, 40).Draw(t, "pixels")
		src, bytes, bfloat16s := fill(r, g.floats(3*pixels)), g.randomBytes(r, 4*pixels), g.bfloat16s(r, 4*pixels)
		q := Quantization{0.02, rapid.Uint8().Draw(t, "zero")}
		quantizeThrees(set, nil, bytes, src, pixels, q)
		toBFloat16Threes(set, nil, bfloat16s, src, pixels)
		want := make([]uint8, len(src))
		quantize(portable, nil, want, src, q)
		for i := range bytes {
			var b uint8
			var h BFloat16
			if i%4 < 3 {
				b, h = want[i/4*3+i%4], RoundBFloat16(src[i/4*3+i%4])
			}
			if bytes[i] != b || bfloat16s[i] != h {
				t.Fatalf("number %d is %d and %v, want %d and %v", i, bytes[i], bfloat16s[i], b, h)
			}
		}
	})
}
