package kernel

// transposeBlocks transposes as many blocks of 8×8 as fit and returns the rows and columns done.
func transposeBlocks(set isa, dst []float32, dstRow int, src []float32, srcRow, rows, columns int) (int, int) {
	r, c := rows/8, columns/8
	if set == portable || r == 0 || c == 0 {
		return 0, 0
	}
	_, _ = src[(8*r-1)*srcRow+8*c-1], dst[(8*c-1)*dstRow+8*r-1]
	transpose8x8AVX2(&dst[0], &src[0], dstRow, srcRow, r, c)
	return 8 * r, 8 * c
}
