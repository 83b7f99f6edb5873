// Package budgettest tests that readers keep to what an input may cost: fuzz targets add thousands of damaged inputs to
// their seeds in the heavy tests, and hold what each allocates against its size.
package budgettest

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"runtime/metrics"
	"testing"
)

// What reading may allocate, all in all: so many bytes, and so many for each byte of the input.
const (
	anyInput = 96 << 20
	perByte  = 4000
)

// Within runs work on an input of so many bytes, and fails if it allocates more than reading it should.
func Within(t testing.TB, size int, work func()) {
	t.Helper()
	Allocates(t, anyInput+perByte*uint64(size), work)
}

// Allocates runs work, and fails if it allocates more than so many bytes.
func Allocates(t testing.TB, most uint64, work func()) {
	t.Helper()
	before := allocated()
	work()
	if used := allocated() - before; used > most {
		t.Errorf("%d MB were allocated, %d at most are meant", used>>20, most>>20)
	}
}

// allocated is all that this process has allocated so far, in bytes.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// Seeds adds seeds to a fuzz target, and with TLPIPE_HEAVY=1 so many damaged versions of each, always the same.
func Seeds(f *testing.F, each int, seeds ...[]byte) {
	f.Helper()
	for _, input := range Damaged(each, seeds...) {
		f.Add(input)
	}
}

// Texts is Seeds for targets that take a text.
func Texts(f *testing.F, each int, seeds ...string) {
	f.Helper()
	var raw [][]byte
	for _, s := range seeds {
		raw = append(raw, []byte(s))
	}
	for _, input := range Damaged(each, raw...) {
		f.Add(string(input))
	}
}

// Damaged are the seeds, and in the heavy tests so many damaged versions of each.
func Damaged(each int, seeds ...[]byte) (out [][]byte) {
	if os.Getenv("TLPIPE_HEAVY") == "" {
		each = 0
	}
	random := rand.New(rand.NewPCG(1, uint64(len(seeds))))
	for _, seed := range seeds {
		out = append(out, seed)
		for range each {
			out = append(out, damaged(random, seed, seeds))
		}
	}
	return out
}

// lies are numbers that sizes and offsets are replaced by.
var lies = [...]uint64{0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 31, 1 << 40, 1<<63 - 1, 1 << 63, 1<<64 - 1}

// damaged changes a few places of a seed.
func damaged(random *rand.Rand, seed []byte, others [][]byte) []byte {
	out := append([]byte(nil), seed...)
	for range 1 << random.IntN(4) {
		if len(out) == 0 {
			break
		}
		at := random.IntN(len(out))
		if random.IntN(2) == 0 {
			at = random.IntN(min(len(out), 256)) // heads tell sizes
		}
		switch random.IntN(8) {
		case 0, 1:
			out[at] ^= 1 << random.IntN(8)
		case 2:
			out[at] = byte(random.IntN(256))
		case 3, 4: // a number, of either order
			var number [8]byte
			binary.LittleEndian.PutUint64(number[:], lies[random.IntN(len(lies))])
			width := 1 << random.IntN(4)
			if random.IntN(2) == 0 {
				for i := range width / 2 {
					number[i], number[width-1-i] = number[width-1-i], number[i]
				}
			}
			copy(out[at:], number[:width])
		case 5: // cut out
			end := min(len(out), at+1+random.IntN(64))
			out = append(out[:at], out[end:]...)
		case 6: // again, or from elsewhere
			from := others[random.IntN(len(others))]
			if len(from) > 0 {
				begin := random.IntN(len(from))
				piece := from[begin:min(len(from), begin+1+random.IntN(256))]
				out = append(out[:at], append(append([]byte(nil), piece...), out[at:]...)...)
			}
		case 7: // ends early
			if random.IntN(4) == 0 {
				out = out[:at]
			}
		}
	}
	return out
}
