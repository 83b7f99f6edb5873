package metrics

import "math"

// Prior answers every row with the shares of the classes in training: the
// classifier that has seen labels only. Its predicted class is the majority's.
type Prior struct{ counts []float64 }

// NewPrior counts classes that are yet to be added.
func NewPrior(classes int) *Prior { return &Prior{make([]float64, classes)} }

// Add counts one training row.
func (p *Prior) Add(class int) { p.counts[class]++ }

// Probabilities fills in the share of each class. Without a training row all
// classes are equal.
func (p *Prior) Probabilities(out []float32) {
	total := 0.0
	for _, n := range p.counts {
		total += n
	}
	for class, n := range p.counts {
		if total == 0 {
			out[class] = float32(1 / float64(len(p.counts)))
		} else {
			out[class] = float32(n / total)
		}
	}
}

// Centroids is the nearest-centroid classifier: a row is of the class whose
// mean in training is closest by Euclidean distance. Its probabilities are
// those of Gaussians around the means, all with one variance, the pooled
// within-class variance over all dimensions, and all equally likely.
type Centroids struct {
	dimension int
	counts    []float64
	means     [][]float64 // sums until Fit
	squares   float64     // of all values
	variance  float64     // per dimension
}

// NewCentroids makes a classifier that is yet to be fitted.
func NewCentroids(classes, dimension int) *Centroids {
	c := &Centroids{dimension: dimension, counts: make([]float64, classes), means: make([][]float64, classes)}
	for i := range c.means {
		c.means[i] = make([]float64, dimension)
	}
	return c
}

// Add takes one training row.
func (c *Centroids) Add(class int, features []float32) {
	c.counts[class]++
	mean := c.means[class]
	for i, x := range features {
		mean[i] += float64(x)
		c.squares += float64(x) * float64(x)
	}
}

// Fit ends the training: no row may be added after it.
func (c *Centroids) Fit() {
	rows, seen, between := 0.0, 0.0, 0.0
	for class, mean := range c.means {
		n := c.counts[class]
		if n == 0 {
			continue
		}
		rows += n
		seen++
		for i := range mean {
			mean[i] /= n
			between += n * mean[i] * mean[i]
		}
	}
	// Σ|x − mean|² = Σ|x|² − Σ n·|mean|²
	if freedom := (rows - seen) * float64(c.dimension); freedom > 0 {
		c.variance = max(c.squares-between, 0) / freedom
	}
}

// Probabilities fills in the probability of each class; classes without a
// training row have none.
func (c *Centroids) Probabilities(features []float32, out []float32) {
	distances := make([]float64, len(c.means))
	nearest := math.Inf(1)
	for class, mean := range c.means {
		if c.counts[class] == 0 {
			distances[class] = math.Inf(1)
			continue
		}
		for i, x := range features {
			d := float64(x) - mean[i]
			distances[class] += d * d
		}
		nearest = min(nearest, distances[class])
	}
	sum := 0.0
	for class, d := range distances {
		distances[class] = c.likelihood(d - nearest)
		sum += distances[class]
	}
	for class, p := range distances {
		out[class] = float32(p / sum)
	}
}

// likelihood of being so much further away, in squared distance, than the
// nearest mean. Without spread in training only the nearest counts.
func (c *Centroids) likelihood(further float64) float64 {
	switch {
	case further == 0:
		return 1
	case c.variance == 0:
		return 0
	default:
		return math.Exp(-further / (2 * c.variance))
	}
}
