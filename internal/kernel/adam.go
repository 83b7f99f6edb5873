package kernel

import "math"

// AdamStep is a step of Adam (Kingma and Ba, arXiv:1412.6980) whose corrections for the start are part of its numbers. For each weight w with
// gradient g, mean m and mean square v it computes
//
//	w ← w·Shrink, g ← g·Scale + w·Decay
//	m ← m + NewMean·(g - m), v ← KeepSquare·v + NewSquare·g²
//	w ← w - Step·m/(√v + Epsilon)
//
// Every instruction set gives the same bits.
type AdamStep struct {
	Shrink, Scale, Decay  float32
	NewMean               float32
	KeepSquare, NewSquare float32
	Step, Epsilon         float32
}

// Take changes weights, mean and square, which are as many as the gradient.
func (s AdamStep) Take(weights, gradient, mean, square []float32) {
	s.take(active(), weights, gradient, mean, square)
}

func (s AdamStep) take(set isa, weights, gradient, mean, square []float32) {
	n := len(weights)
	need("adam", "gradient", gradient, n)
	need("adam", "mean", mean, n)
	need("adam", "square", square, n)
	t := adamTask{weights: weights, gradient: gradient, mean: mean, square: square, n: n, AdamStep: s}
	t.plain(t.assembly(set))
}

// adamTask is a step on n elements.
//
// The assembly reads this struct at the offsets that adam_test.go pins.
type adamTask struct {
	weights, gradient, mean, square []float32
	n                               int
	AdamStep
}

// plain takes the step for the elements from the given one on, in plain Go. The conversions keep a compiler from adding a product in one
// instruction, which rounds otherwise.
func (t *adamTask) plain(from int) {
	w, gradient := t.weights[from:t.n], t.gradient[from:t.n]
	mean, square := t.mean[from:t.n], t.square[from:t.n]
	for i := range w {
		x := w[i] * t.Shrink
		g := float32(gradient[i]*t.Scale) + float32(t.Decay*x)
		m := mean[i] + float32(t.NewMean*(g-mean[i]))
		v := float32(t.KeepSquare*square[i]) + float32(t.NewSquare*g*g)
		mean[i], square[i] = m, v
		w[i] = x - t.Step*m/(float32(math.Sqrt(float64(v)))+t.Epsilon)
	}
}
