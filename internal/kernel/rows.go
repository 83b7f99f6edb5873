package kernel

// AddWeightedRows adds weights[j] times row j of a matrix to dst, for every j in turn. Row j begins at rows[j·lead]. Every instruction set gives the
// same bits.
func AddWeightedRows(dst, weights, rows []float64, lead int) {
	rowsTask{dst: dst, by: weights, matrix: rows, lead: lead}.run(active(), addWeighted)
}

// AddSquaredDistances adds to dst[j] the squared differences of point[k] and row k of columns at j, for every k in turn: the squared distances of a
// point to the columns of a matrix, whose row k begins at columns[k·lead]. Every instruction set gives the same bits.
func AddSquaredDistances(dst, point, columns []float64, lead int) {
	rowsTask{dst: dst, by: point, matrix: columns, lead: lead}.run(active(), addSquared)
}

// rowsTask goes over the rows of a matrix with one number for each, and changes dst by every row.
//
// The assembly reads this struct at the offsets that rows_test.go pins.
type rowsTask struct {
	dst, by, matrix []float64
	n, rows, lead   int
}

// rowsOperation is what is added for each row.
type rowsOperation int

const (
	addWeighted rowsOperation = iota // the product of number and element
	addSquared                       // the square of their difference
)

func (t rowsTask) run(set isa, o rowsOperation) {
	t.n, t.rows = len(t.dst), len(t.by)
	if t.n == 0 || t.rows == 0 {
		return
	}
	if t.lead < 0 || len(t.matrix) < (t.rows-1)*t.lead+t.n {
		panic("kernel: rows: the matrix is too short")
	}
	done := t.assembly(set, o)
	for i, a := range t.by {
		dst, row := t.dst[done:], t.matrix[i*t.lead+done:][:t.n-done]
		if o == addWeighted {
			for j, x := range row {
				dst[j] += float64(a * x) // the conversion keeps a compiler from adding the product in one instruction
			}
			continue
		}
		for j, x := range row {
			d := a - x
			dst[j] += float64(d * d)
		}
	}
}
