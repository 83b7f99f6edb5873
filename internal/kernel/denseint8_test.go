package kernel

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestDenseInt8AgainstDefinition(t *testing.T) {
	all := pools(t)
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		num := func(name string, lo, hi int) int { return rapid.IntRange(lo, hi).Draw(t, name) }
		in, out, rows := 4*num("in", 1, 40), num("out", 1, 300), num("rows", 0, 40)
		if num("alias", 0, 9) == 0 {
			in = 2048
		}
		weights, bias := fill(r, g.floats(in*out)), fill(r, g.floats(out))
		d, err := packDenseInt8(set, in, out, weights, bias)
		if err != nil {
			t.Fatal(err)
		}
		v := DenseView{Rows: rows, SrcPitch: in + num("src pitch", 0, 3), DstPitch: out + num("dst pitch", 0, 3), ResidualPitch: out + num("residual pitch", 0, 3)}
		v.Src, v.Dst = fill(r, g.floats(banded(rows, v.SrcPitch, in))), fill(r, g.floats(banded(rows, v.DstPitch, out)))
		if rapid.Bool().Draw(t, "residual") {
			v.Residual = fill(r, g.floats(banded(rows, v.ResidualPitch, out)))
		}
		for i := range rows { // of many magnitudes
			scale := float32(math.Ldexp(1, num("magnitude", -140, 20)))
			scaleInto(portable, v.Src[i*v.SrcPitch:][:in], v.Src[i*v.SrcPitch:][:in], scale)
		}
		act := rapid.SampledFrom(activations).Draw(t, "activation")
		before := append([]float32(nil), v.Dst...)
		d.RunView(all[0], v, act, nil)
		steps, scales := quantizeWeights(denseGeometry(in, out), weights)
		for i := range rows {
			x := v.Src[i*v.SrcPitch:][:in]
			var low, high float64
			for _, a := range x {
				low, high = min(low, float64(a)), max(high, float64(a))
			}
			step := (high - low) / 255
			for j := range out {
				var sum float64
				for k, a := range x {
					if step >= leastRange/255 {
						sum += math.RoundToEven(float64(a)/step) * float64(steps[j*in+k])
					}
				}
				// Numbers next to the middle of two steps may go either way.
				slack := 2 * step * 127 * float64(scales[j])
				sum = sum*step*float64(scales[j]) + float64(bias[j])
				if v.Residual != nil {
					sum += float64(v.Residual[i*v.ResidualPitch+j])
				}
				if got, want := float64(v.Dst[i*v.DstPitch+j]), activation64(act, sum); !(math.Abs(got-want) <= 1e-4*(1+math.Abs(sum))+slack) {
					t.Fatalf("row %d, output %d is %v, want %v", i, j, got, want)
				}
			}
		}
		for i, b := range before {
			if i%v.DstPitch >= out && v.Dst[i] != b {
				t.Fatalf("number %d between the bands was written", i)
			}
		}

		// Any number of threads, a residual that is the output, and a row by itself give the same bits; so does portable Go, but for curves.
		reference, err := packDenseInt8(portable, in, out, weights, bias)
		if err != nil {
			t.Fatal(err)
		}
		runs := []func(DenseView){
			func(v DenseView) { d.RunView(all[1], v, act, nil) },
			func(v DenseView) { d.RunView(all[2], v, act, nil) },
			func(v DenseView) {
				for i := range v.Rows {
					one := v
					one.Rows, one.Dst, one.Src = 1, v.Dst[i*v.DstPitch:], v.Src[i*v.SrcPitch:]
					if v.Residual != nil {
						one.Residual = v.Residual[i*v.ResidualPitch:]
					}
					d.RunView(nil, one, act, nil)
				}
			},
		}
		if _, _, curve := act.clamp(); curve == None {
			runs = append(runs, func(v DenseView) { reference.RunView(nil, v, act, nil) })
		}
		for run, again := range runs {
			w := v
			w.Dst = g.floats(len(v.Dst))
			if v.Residual != nil && v.ResidualPitch == v.DstPitch {
				copy(w.Dst, v.Residual)
				w.Residual = w.Dst
			}
			again(w)
			for i := range v.Dst {
				if i%v.DstPitch < out && math.Float32bits(w.Dst[i]) != math.Float32bits(v.Dst[i]) {
					t.Fatalf("run %d: number %d is %v and %v", run, i, v.Dst[i], w.Dst[i])
				}
			}
		}
	})
}

// What is not finite must not become numbers.
func TestDenseInt8KeepsWhatIsNotFinite(t *testing.T) {
	eachSet(t, func(t *rapid.T, set isa, g *guard) {
		r := random(t)
		const in, out, rows = 20, 5, 3
		d, err := packDenseInt8(set, in, out, fill(r, g.floats(in*out)), nil)
		if err != nil {
			t.Fatal(err)
		}
		src, dst := fill(r, g.floats(rows*in)), g.floats(rows*out)
		bad := rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1)}).Draw(t, "number")
		src[in+rapid.IntRange(0, in-1).Draw(t, "place")] = float32(bad)
		d.RunView(nil, DenseView{Dst: dst, Src: src, Rows: rows}, None, nil)
		for i, v := range dst {
			if row := i / out; (row == 1) != math.IsNaN(float64(v)) {
				t.Fatalf("output %d of row %d is %v", i%out, row, v)
			}
		}
	})
}

func TestDenseInt8AllocatesNothing(t *testing.T) {
	const in, out, rows = 64, 64, 40
	d, err := PackDenseInt8(in, out, make([]float32, in*out), nil)
	if err != nil {
		t.Fatal(err)
	}
	var space Workspace
	pool := NewPool(2)
	defer pool.Close()
	src, dst := make([]float32, rows*in), make([]float32, rows*out)
	nothingAllocated(t, "dense layer of bytes", func() {
		d.RunView(pool, DenseView{Dst: dst, Src: src, Rows: rows}, GELU, &space)
	})
	if _, err := PackDenseInt8(6, 2, make([]float32, 12), nil); err == nil {
		t.Error("six inputs are taken")
	}
}
