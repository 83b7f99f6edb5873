package graph

// WeightRows is x, [rows][columns], with each row multiplied by a weight that follows from another value, row by row.
// weigh is given memory for the weights and the values of by. No gradient flows through it: x is no value that learns,
// and the weights count as constants.
func (g *Graph) WeightRows(x, by *Node, weigh func(weights []float64, by []float32)) *Node {
	rows := x.Shape()[0]
	weights, columns := make([]float64, rows), x.Shape().TotalSize()/rows
	return g.add(operation{
		name:   "rows by weight",
		output: x.Shape().Clone(),
		forward: func(y []float32, v [][]float32) error {
			weigh(weights, v[1])
			for i, x := range v[0] {
				y[i] = float32(float64(x) * weights[i/columns])
			}
			return nil
		},
	}, x, by)
}
