package kernel

// assembly takes the step for as many elements as it can and returns how many those are. AVX-512 has no form of its own: every processor
// that has it runs that of AVX2.
func (t *adamTask) assembly(set isa) int {
	whole := t.n &^ 7
	if set == portable || whole == 0 {
		return 0
	}
	part := *t
	part.n = whole
	adamAVX2(&part)
	return whole
}
