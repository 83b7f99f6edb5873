package kernel

// assembly computes as many elements as it can and returns how many those are. AVX-512 has no form of its own: every processor that has it runs
// that of AVX2.
func (t rowsTask) assembly(set isa, o rowsOperation) int {
	whole := t.n &^ 3
	if set == portable || whole == 0 {
		return 0
	}
	t.n = whole
	if o == addWeighted {
		addWeightedRowsAVX2(&t)
	} else {
		addSquaredDistancesAVX2(&t)
	}
	return whole
}

// assembly sums the parts of as many rows as it takes at once, if it can.
func (t *rowProductsTask) assembly(set isa) bool {
	if set == portable || t.n == 0 {
		return false
	}
	rowProductsAVX2(t)
	return true
}
