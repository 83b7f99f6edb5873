package kernel

// packTransposed lays out b, given as its transpose (n rows of k, at distance row), in panels.
func packTransposed(l panels, dst, b []float32, row int) {
	for p := range l.count {
		width := l.width(p)
		column := p * l.set.panelColumns()
		n := min(width, l.n-column)
		panel := dst[l.start(p):][:width*l.k]
		if n < width {
			clear(panel)
		}
		if l.k > 0 {
			transpose(l.set, panel, width, b[column*row:], row, n, l.k)
		}
	}
}

// scaleColumns multiplies each column of a packed matrix.
func scaleColumns(l panels, b, scale []float32) {
	for p := range l.count {
		width := l.width(p)
		column := p * l.set.panelColumns()
		panel := b[l.start(p):][:width*l.k]
		v := sweep{dst: panel, x: panel, y: scale[column:], step: [6]int{width, width}, n: min(width, l.n-column), rows: l.k}
		v.do(l.set, opMul)
	}
}

// packRows lays out rows first … first+rows-1 of b, given from there as rows of n at distance row,
// each multiplied by scale, in panels.
func packRows(l panels, dst []float32, first int, b []float32, row, rows int, scale float32) {
	for p := range l.count {
		width := l.width(p)
		column := p * l.set.panelColumns()
		n := min(width, l.n-column)
		panel := dst[l.start(p)+first*width:][:rows*width]
		if n < width {
			clear(panel)
		}
		v := sweep{dst: panel, x: b[column:], step: [6]int{width, row}, n: n, rows: rows, low: scale}
		if scale == 1 {
			v.do(l.set, opCopy)
		} else {
			v.do(l.set, opScale)
		}
	}
}

// gather copies rows of n floats from one distance to another.
func gather(set isa, dst []float32, dstRow int, src []float32, srcRow, rows, n int) {
	v := sweep{dst: dst, x: src, step: [6]int{dstRow, srcRow}, n: n, rows: rows}
	v.do(set, opCopy)
}

// transpose writes the transpose of a matrix of rows × columns.
func transpose(set isa, dst []float32, dstRow int, src []float32, srcRow, rows, columns int) {
	r, c := transposeBlocks(set, dst, dstRow, src, srcRow, rows, columns)
	for i := range rows {
		j := 0
		if i < r {
			j = c
		}
		for ; j < columns; j++ {
			dst[j*dstRow+i] = src[i*srcRow+j]
		}
	}
}
