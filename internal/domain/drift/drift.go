package drift

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/tlpipe/tlpipe/internal/record"
)

const (
	// Level is the share of batches without a shift that are told to have one, at most.
	Level = 0.01
	// Least is how many rows a batch has, at least.
	Least = 20
	// MostReference is how many rows a reference has, at most.
	MostReference = 200
	// MostBatch is how many rows of a batch are compared, at most: evenly spread.
	MostBatch = 500

	mostGroups   = 16
	permutations = 999
)

// Profile appends the profile of an answer: probabilities, of one class or of each that may apply.
func Profile(to []uint16, answer []float32) []uint16 {
	groups := make([]float64, min(len(answer), mostGroups))
	greatest := float32(0)
	for c, p := range answer {
		groups[c%len(groups)] += float64(p)
		greatest = max(greatest, p)
	}
	members := math.Ceil(float64(len(answer)) / float64(len(groups))) // several may apply
	for _, sum := range groups {
		to = append(to, rounded(sum/members))
	}
	return append(to, rounded(float64(greatest)))
}

// Width is the length of profiles of answers about so many classes.
func Width(classes int) int { return min(classes, mostGroups) + 1 }

func rounded(p float64) uint16 { return uint16(math.Round(math.MaxUint16 * min(max(p, 0), 1))) }

// Refer makes a reference of answers, [rows][classes]; nil of fewer than [Least].
func Refer(split string, answers []float32, classes int) *record.Reference {
	if classes < 1 || len(answers) < Least*classes {
		return nil
	}
	var values []uint16
	for _, at := range spread(len(answers)/classes, MostReference) {
		values = Profile(values, answers[at*classes:(at+1)*classes])
	}
	return record.NewReference(split, Width(classes), values)
}

// spread chooses n positions of all, evenly.
func spread(all, n int) []int {
	n = min(n, all)
	out := make([]int, n)
	for i := range out {
		out[i] = i * all / n
	}
	return out
}

// Finding is what the test found of a batch.
type Finding struct {
	Rows, Reference int     // compared
	Distance        float64 // the largest Kolmogorov-Smirnov distance of a number of the profile
	P               float64
	Class           int     // whose number that is; the first of a group; −1: the greatest probability
	Before, Now     float64 // mean of that number in the reference and in the batch
}

// Shifted tells whether the batch is told to be shifted.
func (f Finding) Shifted() bool { return f.P <= Level }

// InWords tells of a shift, for people; classes are those of the model.
func (f Finding) InWords(classes []string) string {
	what := "the highest probability"
	if f.Class >= 0 && f.Class < len(classes) {
		if what = fmt.Sprintf("the probability of %s", classes[f.Class]); len(classes) > mostGroups {
			what += " and others"
		}
	}
	return fmt.Sprintf("the predictions for these rows differ from those for the rows that the model was validated on (p %.2g): the mean of %s is %.2f here and was %.2f there. "+
		"Either these rows come from another distribution, or the class proportions differ; the accuracy that was measured there may not apply here", f.P, what, f.Now, f.Before)
}

// Compare tests a batch of profiles, one after another, against a reference. ok is false if there are fewer than [Least] rows.
func Compare(r *record.Reference, batch []uint16) (f Finding, ok bool, err error) {
	sample, err := r.Sample()
	if err != nil {
		return f, false, err
	}
	width := r.Columns
	if len(batch)%width != 0 {
		return f, false, fmt.Errorf("profiles of %d numbers are not those of the model, which have %d", len(batch), width)
	}
	f.Reference = len(sample) / width
	positions := spread(len(batch)/width, MostBatch)
	if f.Rows = len(positions); f.Rows < Least {
		return f, false, nil
	}
	all := slices.Clone(sample)
	for _, at := range positions {
		all = append(all, batch[at*width:(at+1)*width]...)
	}
	t := newTest(all, width, f.Reference)
	inBatch := make([]bool, f.Reference+f.Rows)
	for i := range inBatch {
		inBatch[i] = i >= f.Reference
	}
	column := 0
	f.Distance, column = t.distance(inBatch)
	random := rand.New(rand.NewPCG(uint64(f.Rows), 0xd21f))
	asFar := 1
	for range permutations {
		random.Shuffle(len(inBatch), func(i, j int) { inBatch[i], inBatch[j] = inBatch[j], inBatch[i] })
		if d, _ := t.distance(inBatch); d >= f.Distance-1e-12 {
			asFar++
		}
	}
	f.P = float64(asFar) / (permutations + 1)
	if f.Class = column; column == width-1 {
		f.Class = -1
	}
	for i := range inBatch {
		x := float64(all[i*width+column]) / math.MaxUint16
		if i < f.Reference {
			f.Before += x / float64(f.Reference)
		} else {
			f.Now += x / float64(f.Rows)
		}
	}
	return f, true, nil
}

// test has rows of a reference and a batch ready to be compared.
type test struct {
	rows      int
	reference int
	order     [][]int  // by column: rows, ascending
	ends      [][]bool // by column and place in the order: the next row has a greater number
}

func newTest(all []uint16, width, reference int) *test {
	t := &test{rows: len(all) / width, reference: reference}
	for c := range width {
		order := make([]int, t.rows)
		for i := range order {
			order[i] = i
		}
		value := func(i int) int { return int(all[i*width+c]) }
		slices.SortFunc(order, func(i, j int) int { return value(i) - value(j) })
		ends := make([]bool, t.rows)
		for at := range order {
			ends[at] = at == t.rows-1 || value(order[at+1]) > value(order[at])
		}
		t.order, t.ends = append(t.order, order), append(t.ends, ends)
	}
	return t
}

// distance is the largest Kolmogorov-Smirnov distance of a column between the rows that are in the batch and the others.
func (t *test) distance(inBatch []bool) (largest float64, column int) {
	up, down := 1/float64(t.reference), 1/float64(t.rows-t.reference)
	for c, order := range t.order {
		difference := 0.0
		for at, row := range order {
			if inBatch[row] {
				difference -= down
			} else {
				difference += up
			}
			if t.ends[c][at] && math.Abs(difference) > largest {
				largest, column = math.Abs(difference), c
			}
		}
	}
	return largest, column
}
