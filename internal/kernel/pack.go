package kernel

// packTransposed lays out b, given as its transpose (n rows of k, at distance row), in panels.
func packTransposed(l panels, dst, b []float32, row int) {
	for p := range l.count {
		width := l.width(p)
		panel := dst[l.start(p):][:width*l.k]
		for j := range width {
			column := p*l.set.panelColumns() + j
			if column >= l.n {
				for k := range l.k {
					panel[k*width+j] = 0
				}
				continue
			}
			for k, v := range b[column*row:][:l.k] {
				panel[k*width+j] = v
			}
		}
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
		for k := range rows {
			to := panel[k*width : (k+1)*width]
			copy(to, b[k*row+column:][:n])
			clear(to[n:])
		}
		if scale != 1 {
			for i := range panel {
				panel[i] *= scale
			}
		}
	}
}
