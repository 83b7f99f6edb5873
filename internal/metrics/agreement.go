package metrics

import "math"

// Kappa is Cohen's kappa of the true and the most probable classes: by how much they agree more often than classes drawn with the
// same frequencies would, 1 at most, 0 for chance. With quadratic, disagreements count by the squared distance of the classes'
// numbers (Cohen 1968): it is for classes in an order, such as grades. Not a number if all rows are of one class and taken for it.
func (s *Sample) Kappa(quadratic bool, weights []float64) float64 {
	n := s.classes
	seen, actual, predicted := make([]float64, n*n), make([]float64, n), make([]float64, n)
	total := 0.0
	for i, truth := range s.truth {
		w := weightOf(weights, i)
		seen[truth*n+s.predicted[i]] += w
		actual[truth] += w
		predicted[s.predicted[i]] += w
		total += w
	}
	var observed, expected float64
	for a := range n {
		for b := range n {
			cost := 1.0
			switch {
			case a == b:
				cost = 0
			case quadratic:
				cost = float64((a - b) * (a - b))
			}
			observed += cost * seen[a*n+b]
			expected += cost * actual[a] * predicted[b] / total
		}
	}
	return 1 - observed/expected
}

// SensitivityAt is the greatest share of a class's rows that a threshold on its probability finds while the share of the other
// rows that it leaves out is at least the specificity: a point of the ROC curve. NaN if the class, or all others, have no row.
func (r *Ranking) SensitivityAt(specificity float64, class int, weights []float64) float64 {
	if weights == nil {
		weights = r.ones
	}
	c := r.classes[class]
	var below, positives []float64 // of each group with rows of the class: other rows before it, and its own
	others, all := 0.0, 0.0
	passed, inside := int32(0), c.inside
	for _, group := range c.groups {
		others += sumOf(weights, c.rows[passed:group.from])
		below = append(below, others)
		own := 0.0
		for k, row := range c.rows[group.from:group.to] {
			if inside[k] {
				own += weights[row]
			} else {
				others += weights[row]
			}
		}
		positives, all = append(positives, own), all+own
		passed, inside = group.to, inside[group.to-group.from:]
	}
	others += sumOf(weights, c.rows[passed:])
	found := 0.0
	for i := len(below) - 1; i >= 0 && below[i] >= specificity*others; i-- {
		found += positives[i]
	}
	if others == 0 || all == 0 {
		return math.NaN()
	}
	return found / all
}
