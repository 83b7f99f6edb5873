package domain

import "fmt"

// Features are the feature vectors of some rows, one after another.
type Features struct {
	Width  int       // numbers of a row, at least 1
	Values []float32 // [rows][Width], finite
}

// Rows is how many there are.
func (f Features) Rows() int { return len(f.Values) / max(f.Width, 1) }

// Row is the features of a row. It shares memory with f.
func (f Features) Row(i int) []float32 { return f.Values[i*f.Width : (i+1)*f.Width] }

// At picks rows by position.
func (f Features) At(positions []int) Features {
	out := Features{Width: f.Width, Values: make([]float32, 0, len(positions)*f.Width)}
	for _, i := range positions {
		out.Values = append(out.Values, f.Row(i)...)
	}
	return out
}

// Check returns an error unless the values are whole rows.
func (f Features) Check() error {
	if f.Width < 1 || len(f.Values)%f.Width != 0 {
		return fmt.Errorf("%d values are no rows of %d features", len(f.Values), f.Width)
	}
	return nil
}

// Labelled are rows whose class is known, or of some of which it is.
type Labelled struct {
	Features
	Classes []int // of each row, from 0 to Count−1; −1 if it is not known
	Count   int   // of the classes there are
}

// Unknown is the class of rows that have no label.
const Unknown = -1
