package kernel

// RowProducts fills dst[i] with the product of row i of a matrix and v. Row i begins at rows[i·lead]. Each product is summed in four parts, of every
// fourth element, as package vector's Dot does: every instruction set gives the same bits, and so does a product by itself.
func RowProducts(dst, rows []float64, lead int, v []float64) {
	rowProducts(active(), dst, rows, lead, v)
}

// productRows is how many rows the assembly takes at once.
const productRows = 8

// rowProductsTask is some rows times a vector.
//
// The assembly reads this struct at the offsets that rows_test.go pins.
type rowProductsTask struct {
	sums [4 * productRows]float64 // the four parts of each product
	rows []float64
	v    []float64
	n    int // columns, a positive multiple of 4
	lead int
}

func rowProducts(set isa, dst, rows []float64, lead int, v []float64) {
	if len(dst) == 0 {
		return
	}
	if lead < 0 || len(rows) < (len(dst)-1)*lead+len(v) {
		panic("kernel: row products: the matrix is too short")
	}
	whole := len(v) &^ 3
	t := rowProductsTask{v: v, n: whole, lead: lead}
	for i := 0; i < len(dst); {
		t.rows = rows[i*lead:]
		count := t.sum(set, len(dst)-i)
		for r := range count {
			a, b, c, d := t.sums[4*r], t.sums[4*r+1], t.sums[4*r+2], t.sums[4*r+3]
			for j := whole; j < len(v); j++ {
				a += float64(t.rows[r*lead+j] * v[j])
			}
			dst[i+r] = (a + b) + (c + d)
		}
		i += count
	}
}

// sum sums the parts of some rows, of at most so many, and returns how many those are.
func (t *rowProductsTask) sum(set isa, most int) int {
	if most >= productRows && t.assembly(set) {
		return productRows
	}
	var a, b, c, d float64
	row, v := t.rows[:t.n], t.v[:t.n]
	for i := 0; i+4 <= len(row); i += 4 {
		a += float64(row[i] * v[i])
		b += float64(row[i+1] * v[i+1])
		c += float64(row[i+2] * v[i+2])
		d += float64(row[i+3] * v[i+3])
	}
	t.sums[0], t.sums[1], t.sums[2], t.sums[3] = a, b, c, d
	return 1
}
