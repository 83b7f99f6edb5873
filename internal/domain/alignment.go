package domain

// Alignment maps rows of the source and of the target into one space. A classifier is fitted to the source's rows there.
type Alignment struct {
	Source Affine // maps rows of the source
	Target Affine // maps rows of the target, and is what a model does with a row before it classifies it
	// Rounds tells of methods that go round: what each gave. Empty for others.
	Rounds []Round
	Note   string // what people should know, such as that rows were sampled; "" if there is nothing
}

// Round is a round of an alignment that labels the target by itself, such as joint distribution adaptation.
type Round struct {
	Changed float64 // share of the target's pseudo-labels that differ from those of the round before, 0…1
}

// Affine maps a row x of In numbers to Weights·x + Bias, of Out numbers. The zero value leaves rows as they are.
type Affine struct {
	In, Out int
	Weights []float32 // [Out][In]
	Bias    []float32 // [Out]
}

// Identity tells whether rows stay as they are.
func (a Affine) Identity() bool { return a.In == 0 }

// Apply maps rows.
func (a Affine) Apply(x Features) Features {
	if a.Identity() {
		return x
	}
	out := Features{Width: a.Out, Values: make([]float32, x.Rows()*a.Out)}
	for i := range x.Rows() {
		row := x.Row(i)
		for o := range a.Out {
			sum := float64(a.Bias[o])
			for j, w := range a.Weights[o*a.In : (o+1)*a.In] {
				sum += float64(w) * float64(row[j])
			}
			out.Values[i*a.Out+o] = float32(sum)
		}
	}
	return out
}
