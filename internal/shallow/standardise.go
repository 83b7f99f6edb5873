package shallow

import "math"

// standardised fits to standardised features if the options say so; the classifier standardises first.
func (t *task) standardised(fit func(*task) (*Classifier, []Step, error)) (*Classifier, []Step, error) {
	if !t.Standardise {
		return fit(t)
	}
	mean := meansOf(t.training)
	deviation := make([]float64, len(mean))
	for i := range t.training.Len() {
		for j, v := range t.training.row(i) {
			d := float64(v) - mean[j]
			deviation[j] += d * d / float64(t.training.Len())
		}
	}
	for j, v := range deviation {
		if deviation[j] = math.Sqrt(v); v <= 1e-12*mean[j]*mean[j] {
			deviation[j] = 1
		}
	}
	own := *t
	own.Standardise = false
	for _, rows := range []*Rows{&own.training, &own.validation} {
		values := make([]float32, len(rows.Values))
		for i, v := range rows.Values {
			j := i % t.training.Width
			values[i] = float32((float64(v) - mean[j]) / deviation[j])
		}
		rows.Values = values
	}
	c, steps, err := fit(&own)
	if err != nil {
		return nil, nil, err
	}
	for j := range mean {
		c.Mean, c.Deviation = append(c.Mean, float32(mean[j])), append(c.Deviation, float32(deviation[j]))
	}
	return c, steps, nil
}

// linear is standardised for a linear classifier: its weights are made those of the features as they are.
func (t *task) linear(fit func(*task) (*Classifier, []Step, error)) (*Classifier, []Step, error) {
	c, steps, err := t.standardised(fit)
	if err != nil || c.Mean == nil {
		return c, steps, err
	}
	width := len(c.Mean)
	for k := range c.Linear.Bias {
		bias := float64(c.Linear.Bias[k])
		for j, w := range c.Linear.Weights[k*width : (k+1)*width] {
			plain := float64(w) / float64(c.Deviation[j])
			c.Linear.Weights[k*width+j] = float32(plain)
			bias -= plain * float64(c.Mean[j])
		}
		c.Linear.Bias[k] = float32(bias)
	}
	c.Mean, c.Deviation = nil, nil
	return c, steps, nil
}
