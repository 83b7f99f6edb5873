// Package budgettest tests that readers keep to what an input may cost: fuzz targets hold what each input allocates and the
// processor time that it takes against its size, and add thousands of damaged inputs to their seeds in the heavy tests.
// .ci/fuzz searches for others, guided by coverage.
package budgettest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/metrics"
	"testing"
	"time"
)

// Cost is what work may take: bytes allocated all in all, which are at least those held at once, and time of the processor.
type Cost struct {
	Memory uint64
	Time   time.Duration
}

// What reading may take: so much for any input, and so much for each of its bytes. The time is ample, since instrumented
// readers are slow and other work takes its share: it is meant for what does not end, or grows with the square of an input.
var anyInput, perByte = Cost{96 << 20, 20 * time.Second}, Cost{4000, 100 * time.Microsecond}

// Of returns what reading an input of so many bytes may take.
func Of(size int) Cost {
	return Cost{anyInput.Memory + perByte.Memory*uint64(size), anyInput.Time + perByte.Time*time.Duration(size)}
}

// Within runs work on an input of so many bytes, and fails if it takes more than reading it should.
func Within(t testing.TB, size int, work func()) {
	t.Helper()
	Of(size).Bounds(t, work)
}

// Bounds runs work, and fails if it takes more. What has taken twice as much and goes on ends the process: a reader that does
// not end can be ended in no other way, and the fuzzer keeps the input that did it.
func (most Cost) Bounds(t testing.TB, work func()) {
	t.Helper()
	before := spent()
	ended := make(chan struct{})
	go func() {
		look := time.NewTicker(200 * time.Millisecond)
		defer look.Stop()
		for {
			select {
			case <-ended:
				return
			case <-look.C:
				if used := spent().since(before); used.Memory > 2*most.Memory || used.Time > 2*most.Time {
					panic(fmt.Sprintf("%s were taken so far, %s at most are meant", used, most))
				}
			}
		}
	}()
	func() {
		defer close(ended)
		work()
	}()
	if used := spent().since(before); used.Memory > most.Memory || used.Time > most.Time {
		t.Errorf("%s were taken, %s at most are meant", used, most)
	}
}

func (c Cost) String() string { return fmt.Sprintf("%d MB and %s", c.Memory>>20, c.Time) }

func (c Cost) since(before Cost) Cost { return Cost{c.Memory - before.Memory, c.Time - before.Time} }

// spent is what this process has taken so far.
func spent() Cost {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return Cost{sample[0].Value.Uint64(), processorTime()}
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
