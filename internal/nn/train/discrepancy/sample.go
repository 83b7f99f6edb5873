package discrepancy

// Sample is some rows of a matrix [rows][width], and the gradient of a loss with respect to them.
type Sample struct {
	Width    int
	Rows     [][]float32 // each of Width numbers
	Gradient [][]float64 // of each row; nil if it is not wanted
}

// Pick makes samples of the rows of a matrix that are of each of so many domains. of tells the domain of a row; rows of
// others, below 0 or above, are in none. gradient may be nil.
func Pick(values []float32, gradient []float64, width int, of []int32, domains int) []Sample {
	out := make([]Sample, domains)
	for d := range out {
		out[d].Width = width
	}
	for i, d := range of {
		if d < 0 || int(d) >= domains {
			continue
		}
		s := &out[d]
		s.Rows = append(s.Rows, values[i*width:(i+1)*width])
		if gradient != nil {
			s.Gradient = append(s.Gradient, gradient[i*width:(i+1)*width])
		}
	}
	return out
}

// Len is the number of rows.
func (s Sample) Len() int { return len(s.Rows) }

// centred are the rows less their mean.
func (s Sample) centred() []float64 {
	mean := make([]float64, s.Width)
	for _, row := range s.Rows {
		for j, x := range row {
			mean[j] += float64(x)
		}
	}
	out := make([]float64, 0, len(s.Rows)*s.Width)
	for _, row := range s.Rows {
		for j, x := range row {
			out = append(out, float64(x)-mean[j]/float64(len(s.Rows)))
		}
	}
	return out
}

// Halves are the first half of the rows and as many after them.
func (s Sample) Halves() (first, second Sample) {
	first, second = s, s
	half := len(s.Rows) / 2
	first.Rows, second.Rows = s.Rows[:half], s.Rows[half:2*half]
	if s.Gradient != nil {
		first.Gradient, second.Gradient = s.Gradient[:half], s.Gradient[half:2*half]
	}
	return first, second
}
