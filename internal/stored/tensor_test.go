package stored_test

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/tlpipe/tlpipe/internal/stored"
)

func TestElements(t *testing.T) {
	for _, c := range []struct {
		shape []int
		want  int
		ok    bool
	}{
		{nil, 1, true},
		{[]int{2, 3}, 6, true},
		{[]int{0, math.MaxInt, math.MaxInt}, 0, true},
		{[]int{math.MaxInt}, math.MaxInt, true},
		{[]int{math.MaxInt, 2}, 0, false},
		{[]int{1 << 32, 1 << 32}, 0, false},
		{[]int{1 << 31, 1 << 31, 1 << 31}, 0, false},
		{[]int{-1}, 0, false},
		{[]int{0, -1}, 0, false},
	} {
		if got, ok := stored.Elements(c.shape); got != c.want || ok != c.ok {
			t.Errorf("%v: %d, %v, want %d, %v", c.shape, got, ok, c.want, c.ok)
		}
	}
}

// A tensor at any strides, in either byte order, from any offset, has the numbers that a walk over its
// indices finds.
func TestViews(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var order binary.AppendByteOrder = binary.LittleEndian
		big := rapid.Bool().Draw(t, "big-endian")
		if big {
			order = binary.BigEndian
		}
		shape := rapid.SliceOfN(rapid.IntRange(1, 4), 0, 3).Draw(t, "shape")
		strides := rapid.SliceOfN(rapid.IntRange(0, 5), len(shape), len(shape)).Draw(t, "strides")
		offset := rapid.IntRange(0, 3).Draw(t, "offset")
		var raw []byte
		for i := range offset + 4*5*3 + 1 {
			raw = order.AppendUint32(raw, math.Float32bits(float32(i)))
		}
		want := []float32{float32(offset)}
		for axis, n := range shape {
			var next []float32
			for _, x := range want {
				for i := range n {
					next = append(next, x+float32(i*strides[axis]))
				}
			}
			want = next
		}
		// An odd byte before it all: numbers need not lie where this machine would have them.
		odd := rapid.IntRange(0, 1).Draw(t, "odd")
		content := stored.Raw(append(make([]byte, odd), raw...))
		x := stored.Tensor{Name: "x", Type: stored.F32, Shape: shape, Content: content, Offset: odd + 4*offset, Strides: strides, BigEndian: big}
		if got, err := x.Float32(); err != nil || !slices.Equal(got, want) {
			t.Fatalf("%v at strides %v: %v, error %v, want %v", shape, strides, got, err, want)
		}
	})
}

// Numbers that lie as this machine has them are not copied.
func TestNoCopies(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("this machine has the other byte order than files")
	}
	numbers := make([]float32, 1000)
	raw := make([]byte, 0, 4*len(numbers))
	for i := range numbers {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(i)))
	}
	x := stored.Tensor{Type: stored.F32, Shape: []int{10, 100}, Content: stored.Raw(raw)}
	if err := x.Use(func(got []float32) {
		raw[0], raw[1], raw[2], raw[3] = 0, 0, 0x80, 0x3f
		if got[0] != 1 {
			t.Error("the numbers are a copy")
		}
	}); err != nil {
		t.Error(err)
	}
}

// failing is content that cannot be had.
type failing struct{}

func (failing) Bytes() ([]byte, error) { return nil, errors.New("no such bytes") }

func TestWhatCannotBeRead(t *testing.T) {
	four := stored.Raw(make([]byte, 16))
	for want, x := range map[string]stored.Tensor{
		`"a": I64 is no floating-point type`: {Name: "a", Type: stored.I64, Shape: []int{2}, Content: four},
		`"b": no such bytes`:                 {Name: "b", Type: stored.F32, Shape: []int{2}, Content: failing{}},
		`"c": shape [5]`:                     {Name: "c", Type: stored.F32, Shape: []int{5}, Content: four},
		`"d": shape [4]`:                     {Name: "d", Type: stored.F32, Shape: []int{4}, Content: four, Offset: 4},
		`"e": shape [2 2]`:                   {Name: "e", Type: stored.F32, Shape: []int{2, 2}, Strides: []int{3, 1}, Content: four},
		`"f": shape [-1]`:                    {Name: "f", Type: stored.F32, Shape: []int{-1}, Content: four},
		`"g": shape [4]`:                     {Name: "g", Type: stored.F64, Shape: []int{4}, Content: four},
	} {
		if data, err := x.Float32(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, error %v, want one with %q", data, err, want)
		}
	}
}

// Tensors that share content are read at once; the race detector looks on.
func TestConcurrentReads(t *testing.T) {
	content := stored.Raw(make([]byte, 4096))
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			x := stored.Tensor{Type: stored.F16, Shape: []int{100}, Content: content, Offset: i}
			for range 10 {
				if _, err := x.Float32(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}
