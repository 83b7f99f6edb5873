package discrepancy

import "math"

// softmax is that of logits divided by a temperature, [rows][classes], with the logarithms.
func softmax(s Sample, temperature float64) (p, logarithms [][]float64) {
	for _, row := range s.Rows {
		top := math.Inf(-1)
		for _, z := range row {
			top = max(top, float64(z)/temperature)
		}
		var sum float64
		for _, z := range row {
			sum += math.Exp(float64(z)/temperature - top)
		}
		own, logs := make([]float64, len(row)), make([]float64, len(row))
		for c, z := range row {
			logs[c] = float64(z)/temperature - top - math.Log(sum)
			own[c] = math.Exp(logs[c])
		}
		p, logarithms = append(p, own), append(logarithms, logs)
	}
	return p, logarithms
}

// toLogits adds the gradient of the logits, given that of their softmax p at a temperature.
func toLogits(into []float64, p, slope []float64, temperature float64) {
	var mean float64
	for c, s := range slope {
		mean += p[c] * s
	}
	for c, s := range slope {
		into[c] += p[c] * (s - mean) / temperature
	}
}

// entropy is −Σ p·log p, in nats.
func entropy(p, logarithms []float64) (h float64) {
	for c, x := range p {
		if x > 0 {
			h -= x * logarithms[c]
		}
	}
	return h
}

// Certainties are weights 1 + e^(−H) of the entropy H of the answers to each row, scaled to a mean of 1: rows that the
// answers are sure of count for more (Long et al., arXiv:1705.10667, with entropy conditioning).
func Certainties(logits Sample) []float64 { return certainties(softmax(logits, 1)) }

func certainties(p, logarithms [][]float64) []float64 {
	out := make([]float64, len(p))
	var sum float64
	for i := range p {
		out[i] = 1 + math.Exp(-entropy(p[i], logarithms[i]))
		sum += out[i]
	}
	for i := range out {
		out[i] *= float64(len(out)) / sum
	}
	return out
}

// ClassConfusion is the minimum class confusion of answers (Jin et al., arXiv:1912.03699): how much probability falls on
// two classes at once, by softmax at a temperature, usual 2.5. Rows count by their certainty, which no gradient flows
// through. It is 0 without rows.
func ClassConfusion(logits Sample, temperature float64) float64 {
	if logits.Len() == 0 {
		return 0
	}
	p, logs := softmax(logits, temperature)
	weights, k := certainties(p, logs), logits.Width
	confusion := make([]float64, k*k) // Σ weight·p[a]·p[b]
	for i, row := range p {
		for a, x := range row {
			for b, y := range row {
				confusion[a*k+b] += weights[i] * x * y
			}
		}
	}
	// The loss is Σ over the rows a of 1 − confusion[a][a]/sum[a], the mean over the classes. slope is what it changes by
	// with each confusion.
	var loss float64
	slope := make([]float64, k*k)
	for a := range k {
		var sum float64
		for _, x := range confusion[a*k : (a+1)*k] {
			sum += x
		}
		if sum == 0 { // a class of no probability at all is confused with none
			continue
		}
		own := confusion[a*k+a]
		loss += (sum - own) / sum / float64(k)
		for b := range k {
			slope[a*k+b] = own / (sum * sum) / float64(k)
		}
		slope[a*k+a] -= 1 / sum / float64(k)
	}
	for i, into := range logits.Gradient {
		change := make([]float64, k)
		for a := range k {
			for b, y := range p[i] {
				change[a] += weights[i] * y * (slope[a*k+b] + slope[b*k+a])
			}
		}
		toLogits(into, p[i], change, temperature)
	}
	return loss
}

// Information is sure·(mean entropy of the answers) − varied·(entropy of their mean): small if each row has a clear
// answer, and not all the same one (information maximisation, Krause et al. 2010; Liang et al., arXiv:2002.08546). It is
// 0 without rows.
func Information(logits Sample, sure, varied float64) float64 {
	n := float64(logits.Len())
	if n == 0 {
		return 0
	}
	p, logs := softmax(logits, 1)
	mean := make([]float64, logits.Width)
	var loss float64
	for i, row := range p {
		loss += sure * entropy(row, logs[i]) / n
		for c, x := range row {
			mean[c] += x / n
		}
	}
	for _, m := range mean {
		if m > 0 {
			loss += varied * m * math.Log(m)
		}
	}
	for i, into := range logits.Gradient {
		slope := make([]float64, logits.Width)
		for c := range slope {
			slope[c] = -sure * (max(logs[i][c], -1e30) + 1) / n
			if mean[c] > 0 {
				slope[c] += varied * (math.Log(mean[c]) + 1) / n
			}
		}
		toLogits(into, p[i], slope, 1)
	}
	return loss
}

// Consistency is the cross-entropy of the answers to rows as they were varied strongly, by the class that is most probable for
// the same row as it is, where that has at least the probability threshold; the mean over all rows (FixMatch, Sohn et al.,
// arXiv:2001.07685). The class is a constant: no gradient flows to the plain rows. Both have the same rows in the same order.
func Consistency(plain, varied Sample, threshold float64) float64 {
	rows := min(plain.Len(), varied.Len())
	n := float64(rows)
	p, _ := softmax(plain, 1)
	q, logs := softmax(varied, 1)
	var loss float64
	for i, row := range p[:rows] {
		class := 0
		for c, x := range row {
			if x > row[class] {
				class = c
			}
		}
		if row[class] < threshold {
			continue
		}
		loss -= logs[i][class] / n
		if varied.Gradient == nil {
			continue
		}
		for c, x := range q[i] {
			if c == class {
				x--
			}
			varied.Gradient[i][c] += x / n
		}
	}
	return loss
}
