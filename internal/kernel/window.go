package kernel

// Windows puts size tokens side by side in the place of each token, itself in the middle (of an even number the second of the two in the
// middle), with zeros beyond the ends of its sequence: [rows, columns] to [rows, size·columns]. A dense layer on that is a
// convolution along the tokens. Padding has zeros.
func Windows(pool *Pool, dst, src []float32, sequences []Sequence, size, columns int) {
	const name = "windows of tokens"
	need(name, "dst", dst, rowsOf(sequences)*size*columns)
	need(name, "src", src, rowsOf(sequences)*columns)
	pool.Each(len(sequences), func(_, i int) {
		s := sequences[i]
		clear(dst[s.First*size*columns : (s.First+s.Rows)*size*columns])
		eachInWindow(s, size, func(row, place, from int) {
			at := (row*size + place) * columns
			copy(dst[at:at+columns], src[from*columns:])
		})
	})
}

// WindowsBackward computes the gradient of src from that of dst.
func WindowsBackward(pool *Pool, dsrc, ddst []float32, sequences []Sequence, size, columns int) {
	const name = "windows of tokens, gradient"
	need(name, "dsrc", dsrc, rowsOf(sequences)*columns)
	need(name, "ddst", ddst, rowsOf(sequences)*size*columns)
	pool.Each(len(sequences), func(_, i int) {
		s := sequences[i]
		clear(dsrc[s.First*columns : (s.First+s.Rows)*columns])
		eachInWindow(s, size, func(row, place, from int) {
			at := (row*size + place) * columns
			into := dsrc[from*columns : (from+1)*columns]
			for j, d := range ddst[at : at+columns] {
				into[j] += d
			}
		})
	})
}

// eachInWindow visits the tokens in the windows of a sequence: the row of the window, the place in it and the row of the token.
func eachInWindow(s Sequence, size int, visit func(row, place, from int)) {
	for token := range s.Length {
		for place := range size {
			if from := token + place - size/2; from >= 0 && from < s.Length {
				visit(s.First+token, place, s.First+from)
			}
		}
	}
}
