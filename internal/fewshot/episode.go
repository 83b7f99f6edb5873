package fewshot

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Episode is a task, its rows by their number in the table.
type Episode struct {
	Support        []int
	SupportClasses []int // of the episode's classes, from 0
	Queries        []int
	QueryClasses   []int // Unknown for queries of none of the classes
}

// Unknown is the class of queries of an open episode that are of none of its classes.
const Unknown = -1

// Sampler draws episodes. Each is drawn by its number alone.
type Sampler struct {
	Way, Shot, Query int     // classes; support of each; queries of each
	Dirichlet        float64 // concentration by which the queries are spread over the classes; 0: evenly (Veilleux et al. 2021)
	Open             int     // queries of other classes
	Seed             uint64

	classes [][][]int // by class and object: rows
}

// Prepare sorts the rows by class and object, and tells what is wrong. classes and objects are those of each row, from 0; rows of a
// negative class are left out. A class that has too few objects for an episode is left out as well.
func (s *Sampler) Prepare(classes, objects []int) error {
	byClass := map[int]map[int][]int{}
	for i, class := range classes {
		if class < 0 {
			continue
		}
		if byClass[class] == nil {
			byClass[class] = map[int][]int{}
		}
		byClass[class][objects[i]] = append(byClass[class][objects[i]], i)
	}
	s.classes = nil
	small := 0
	for _, class := range sorted(byClass) {
		var sets [][]int
		for _, object := range sorted(byClass[class]) {
			sets = append(sets, byClass[class][object])
		}
		if len(sets) <= s.Shot { // one object is left to be asked for
			small++
			continue
		}
		s.classes = append(s.classes, sets)
	}
	need := s.Way
	if s.Open > 0 {
		need++
	}
	if len(s.classes) < need {
		return fmt.Errorf("episodes of %d classes need %d with more than %d objects each: there are %d, and %d with fewer", s.Way, need, s.Shot, len(s.classes), small)
	}
	return nil
}

func sorted[V any](m map[int]V) []int {
	keys := make([]int, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Classes is how many classes episodes are drawn of.
func (s *Sampler) Classes() int { return len(s.classes) }

// Draw draws the episode of a number. A class with few rows gives fewer queries.
func (s *Sampler) Draw(number int) Episode {
	random := rand.New(rand.NewPCG(s.Seed, uint64(number)))
	order := random.Perm(len(s.classes))
	wanted := s.spread(random)
	var e Episode
	for class, at := range order[:s.Way] {
		objects := random.Perm(len(s.classes[at]))
		for _, o := range objects[:s.Shot] {
			rows := s.classes[at][o]
			e.Support = append(e.Support, rows[random.IntN(len(rows))])
			e.SupportClasses = append(e.SupportClasses, class)
		}
		e.ask(s.rest(random, at, objects[s.Shot:]), wanted[class], class)
	}
	if s.Open > 0 {
		var others []int
		for _, at := range order[s.Way:] {
			for _, rows := range s.classes[at] {
				others = append(others, rows...)
			}
		}
		random.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
		e.ask(others, s.Open, Unknown)
	}
	return e
}

// rest lists the rows of some objects of a class, shuffled.
func (s *Sampler) rest(random *rand.Rand, class int, objects []int) []int {
	var rows []int
	for _, o := range objects {
		rows = append(rows, s.classes[class][o]...)
	}
	random.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return rows
}

func (e *Episode) ask(rows []int, n, class int) {
	for _, row := range rows[:min(n, len(rows))] {
		e.Queries = append(e.Queries, row)
		e.QueryClasses = append(e.QueryClasses, class)
	}
}

// spread is how many queries each class gets.
func (s *Sampler) spread(random *rand.Rand) []int {
	out := make([]int, s.Way)
	if s.Dirichlet <= 0 {
		for i := range out {
			out[i] = s.Query
		}
		return out
	}
	shares := make([]float64, s.Way)
	sum := 0.0
	for i := range shares {
		shares[i] = gamma(random, s.Dirichlet)
		sum += shares[i]
	}
	left := s.Way * s.Query
	type rest struct {
		class int
		share float64
	}
	var rests []rest
	for i, share := range shares {
		due := share / sum * float64(s.Way*s.Query)
		out[i] = int(due)
		left -= out[i]
		rests = append(rests, rest{i, due - float64(out[i])})
	}
	slices.SortStableFunc(rests, func(a, b rest) int { return int(math.Copysign(1, b.share-a.share)) })
	for i := range left {
		out[rests[i%len(rests)].class]++
	}
	return out
}

// gamma draws from the gamma distribution of a shape: Marsaglia and Tsang, A Simple Method for Generating Gamma Variables (2000).
func gamma(random *rand.Rand, shape float64) float64 {
	if shape < 1 {
		return gamma(random, shape+1) * math.Pow(1-random.Float64(), 1/shape)
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := random.NormFloat64()
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v *= v * v
		if u := 1 - random.Float64(); math.Log(u) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}
