package train

import (
	"maps"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"

	"github.com/tlpipe/tlpipe/internal/nn/train/graph"
)

// Sample returns the positions of the examples that an epoch, counted from 0, walks through, in an
// order of no meaning: it is shuffled. Positions may come several times. It must return the same
// for the same epoch, whenever it is asked.
type Sample func(epoch int) []int

// Turns takes the sets of positions in turn: epoch e has set e modulo their number. With a set for
// each augmented copy of the examples, every epoch sees another copy.
func Turns(sets ...[]int) Sample {
	return func(epoch int) []int { return sets[epoch%len(sets)] }
}

// Balanced draws as many positions as sample gives, or as there are classes' entries if it is nil,
// so that each class that is among them comes equally often, to within one. classes is the class of
// each position. Of each class all examples come before one comes again; which come once more is
// drawn anew each epoch.
func Balanced(sample Sample, classes []int, seed uint64) Sample {
	return func(epoch int) []int {
		all := positionsOf(sample, len(classes), epoch)
		members := map[int][]int{}
		var present []int
		for _, p := range all {
			c := classes[p]
			if members[c] == nil {
				present = append(present, c)
			}
			members[c] = append(members[c], p)
		}
		slices.Sort(present)
		random := source{graph.Draw{Seed: seed, Epoch: epoch}.Stream("balance of the classes")}
		out := make([]int, 0, len(all))
		// The classes that come once more than the others are drawn as well.
		for i, c := range random.shuffled(len(present)) {
			wanted := (len(all) + len(present) - 1 - i) / len(present)
			of := members[present[c]]
			for wanted > 0 {
				for _, k := range random.shuffled(len(of))[:min(wanted, len(of))] {
					out = append(out, of[k])
				}
				wanted -= min(wanted, len(of))
			}
		}
		return out
	}
}

// ClassBatches gives batches of several classes with several examples of each, for objectives that compare the examples of a batch: of
// size examples, each of them in a group of so many of one class. sample and classes are those of [Balanced]. Every example that sample
// gives comes once, but that the last group of a class is filled up with others that came before; a class with fewer examples has a
// smaller group. A batch has a class twice only where no other is left. For [Options].Batches.
func ClassBatches(sample Sample, classes []int, each, size int, seed uint64) func(epoch int) [][]int {
	return func(epoch int) [][]int {
		members := map[int][]int{}
		for _, p := range positionsOf(sample, len(classes), epoch) {
			members[classes[p]] = append(members[classes[p]], p)
		}
		random := source{graph.Draw{Seed: seed, Epoch: epoch}.Stream("classes of the batches")}
		var rounds [][][]int // groups, of each class at most one in a round
		for _, c := range slices.Sorted(maps.Keys(members)) {
			own := members[c]
			random.shuffle(own)
			for round := 0; round*each < len(own); round++ {
				group := own[round*each : min((round+1)*each, len(own))]
				if len(group) < each {
					group = own[max(len(own)-each, 0):]
				}
				if round == len(rounds) {
					rounds = append(rounds, nil)
				}
				rounds[round] = append(rounds[round], group)
			}
		}
		var groups [][]int
		for _, round := range rounds {
			for _, i := range random.shuffled(len(round)) {
				groups = append(groups, round[i])
			}
		}
		together := max(size/each, 2)
		var out [][]int
		for from := 0; from < len(groups); from += together {
			to := min(from+together, len(groups))
			if len(groups)-to == 1 { // one group alone has nothing to be compared with
				to++
			}
			out = append(out, slices.Concat(groups[from:to]...))
			if to == len(groups) {
				break
			}
		}
		return out
	}
}

// positionsOf are those of an epoch: what sample gives, or 0 … n-1.
func positionsOf(sample Sample, n, epoch int) []int {
	if sample != nil {
		return sample(epoch)
	}
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// order returns positions in the order of an epoch.
func order(positions []int, seed uint64, epoch int) []int {
	random := source{graph.Draw{Seed: seed, Epoch: epoch}.Stream("order of the examples")}
	out := slices.Clone(positions)
	random.shuffle(out)
	return out
}

// batches cuts positions into runs of size. A single example left over joins the run before it:
// batch-norm learns nothing from one.
func batches(positions []int, size int) [][]int {
	out := slices.Collect(slices.Chunk(positions, size))
	if n := len(out); n > 1 && len(out[n-1]) == 1 {
		out[n-2] = positions[(n-2)*size:]
		out = out[:n-1]
	}
	return out
}

// bucketed cuts positions, which are shuffled, into batches of examples of about the same length; see [Options].
func bucketed(positions []int, of Measured, o Options, epoch int) [][]int {
	for run := range slices.Chunk(positions, o.Bucket*o.BatchSize) {
		slices.SortStableFunc(run, func(a, b int) int { return of.Length(a) - of.Length(b) })
	}
	runs := batches(positions, o.BatchSize)
	random := source{graph.Draw{Seed: o.Seed, Epoch: epoch}.Stream("order of the batches")}
	out := make([][]int, len(runs))
	for i, at := range random.shuffled(len(runs)) {
		out[i] = runs[at]
	}
	return out
}

// source draws from distributions. They are written out here because what [math/rand/v2] makes of a
// source may change.
type source struct{ *rand.PCG }

// below returns a number from 0 to n-1.
func (s source) below(n int) int {
	high, _ := bits.Mul64(s.Uint64(), uint64(n))
	return int(high)
}

// float returns a number of the interval [0, 1).
func (s source) float() float64 { return float64(s.Uint64()>>11) / (1 << 53) }

// shuffle is that of Fisher and Yates.
func (s source) shuffle(x []int) {
	for i := len(x) - 1; i > 0; i-- {
		j := s.below(i + 1)
		x[i], x[j] = x[j], x[i]
	}
}

// shuffled returns 0 … n-1 in an order.
func (s source) shuffled(n int) []int {
	out := positionsOf(nil, n, 0)
	s.shuffle(out)
	return out
}

// beta draws from Beta(α, α), by the method of Jöhnk (1964) for α ≤ 1 and otherwise as the share of
// one of two draws from the gamma distribution.
func (s source) beta(alpha float64) float64 {
	if alpha > 1 {
		a, b := s.gamma(alpha), s.gamma(alpha)
		return a / (a + b)
	}
	for {
		// The powers of small numbers by a small α underflow: logarithms do not.
		u, v := math.Log(1-s.float())/alpha, math.Log(1-s.float())/alpha
		top := max(u, v)
		if sum := math.Exp(u-top) + math.Exp(v-top); top+math.Log(sum) <= 0 {
			return math.Exp(u-top) / sum
		}
	}
}

// gamma draws from Gamma(α, 1) for α ≥ 1, by the method of Marsaglia and Tsang (2000).
func (s source) gamma(alpha float64) float64 {
	d := alpha - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := s.normal()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v *= v * v
		if math.Log(1-s.float()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}

// normal draws from the standard normal distribution, by the method of Box and Muller (1958).
func (s source) normal() float64 {
	return math.Sqrt(-2*math.Log(1-s.float())) * math.Cos(2*math.Pi*s.float())
}

// window draws a rectangle of a map for cutmix, of the share 1−keep of the area and with a centre
// anywhere, cut off at the edges. It returns the share of the map that is left.
func (s source) window(height, width int, keep float64) (rectangle [4]int, left float64) {
	side := math.Sqrt(1 - keep)
	h, w := int(side*float64(height)), int(side*float64(width))
	top, start := s.below(height)-h/2, s.below(width)-w/2
	rectangle = [4]int{max(top, 0), max(start, 0), min(top+h, height), min(start+w, width)}
	area := max(rectangle[2]-rectangle[0], 0) * max(rectangle[3]-rectangle[1], 0)
	return rectangle, 1 - float64(area)/float64(height*width)
}
