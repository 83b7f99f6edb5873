package nn

// Flatten makes a vector of a map, row by row, the channels of a pixel side by side.
type Flatten struct{}

// Kind implements [Op].
func (Flatten) Kind() string { return "flatten" }

func (Flatten) on(inputs []Shape) (facts, error) {
	in, err := one(inputs)
	if err != nil {
		return facts{}, err
	}
	return facts{output: Shape{in.Size()}}, nil
}
