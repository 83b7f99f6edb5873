package sample

// WeightBits is the precision of resampling weights: 8 bits of a sample and 2
// of headroom for overshoot leave 22 of 32.
const WeightBits = 32 - 8 - 2

const half = 1 << (WeightBits - 1)

// Span is one output of a resampled axis: it reads Count inputs from From on,
// weighted by as many weights from At on.
type Span struct{ From, Count, At int32 }

// Across makes a row of pixels, 3 bytes each, of another: one for each span.
// left is the number, as spans count, of the row's first pixel.
func Across(out, row []uint8, spans []Span, weights []int32, left int) {
	n := len(spans)
	out = out[:3*n]
	done := 0
	if vectors() && n > 0 {
		// The assembly reads and writes a byte beyond each pixel.
		right := int32(left + len(row)/3)
		for done = n - 1; done > 0 && spans[done-1].From+spans[done-1].Count >= right; done-- {
		}
		if done > 0 {
			first, last := spans[0], spans[done-1]
			_ = row[3*(int(first.From)-left)]
			_ = row[3*(int(last.From+last.Count)-left)]
			_ = weights[last.At+last.Count-1]
			acrossAVX2(&out[0], &row[0], &spans[0], &weights[0], done, left)
		}
	}
	across(out[3*done:], row, spans[done:], weights, left)
}

func across(out, row []uint8, spans []Span, weights []int32, left int) {
	for x, s := range spans {
		pixels := row[3*(int(s.From)-left):][:3*s.Count]
		red, green, blue := int32(half), int32(half), int32(half)
		for _, w := range weights[s.At:][:s.Count] {
			p := pixels[:3:3]
			red += w * int32(p[0])
			green += w * int32(p[1])
			blue += w * int32(p[2])
			pixels = pixels[3:]
		}
		o := out[3*x : 3*x+3 : 3*x+3]
		o[0], o[1], o[2] = Clamp(red>>WeightBits), Clamp(green>>WeightBits), Clamp(blue>>WeightBits)
	}
}

// Down makes a row of samples of as many rows as there are weights, which lie
// one after another, each as long as out.
func Down(out, rows []uint8, weights []int32) {
	n := len(out)
	rows = rows[:n*len(weights)]
	done := 0
	if vectors() && n >= 16 && len(weights) > 0 {
		done = n &^ 15
		downAVX2(&out[0], &rows[0], &weights[0], done, n, len(weights))
	}
	down(out, rows, weights, done)
}

func down(out, rows []uint8, weights []int32, from int) {
	n := len(out)
	for x := from; x < n; x++ {
		sum := int32(half)
		at := x
		for _, w := range weights {
			sum += w * int32(rows[at])
			at += n
		}
		out[x] = Clamp(sum >> WeightBits)
	}
}
