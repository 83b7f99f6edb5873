package discrepancy

// CORAL is ‖Cs − Ct‖²/(4d²), the squared Frobenius distance of the covariances of two samples of d features, each
// divided by the number of its rows less 1 (Sun and Saenko, arXiv:1607.01719). It is 0, without a gradient, if one of
// the samples has fewer than two rows.
//
// The covariances themselves are not made: ‖Cs − Ct‖² follows from the products of the centred rows with each other,
// which takes rows²·d steps and not rows·d².
func CORAL(source, target Sample) float64 {
	n, m, d := source.Len(), target.Len(), source.Width
	if n < 2 || m < 2 {
		return 0
	}
	s, t := source.centred(), target.centred()
	ss, tt, st := products(s, s, n, n, d), products(t, t, m, m, d), products(s, t, n, m, d)
	a, b, factor := float64(n-1), float64(m-1), 1/(4*float64(d)*float64(d))
	loss := factor * (squares(ss)/(a*a) + squares(tt)/(b*b) - 2*squares(st)/(a*b))
	// The gradient with respect to the centred rows S is 4/(n−1)·S(Cs − Ct); its columns sum to 0, as those of S do, so it
	// is that of the rows too.
	for i, into := range source.Gradient {
		add(into, 4*factor/(a*a), ss[i*n:(i+1)*n], s, d)
		add(into, -4*factor/(a*b), st[i*m:(i+1)*m], t, d)
	}
	for i, into := range target.Gradient {
		add(into, 4*factor/(b*b), tt[i*m:(i+1)*m], t, d)
		column := make([]float64, n)
		for k := range n {
			column[k] = st[k*m+i]
		}
		add(into, -4*factor/(a*b), column, s, d)
	}
	return loss
}

// products are those of each of n rows of a with each of m rows of b.
func products(a, b []float64, n, m, d int) []float64 {
	out := make([]float64, n*m)
	for i := range n {
		x := a[i*d : (i+1)*d]
		for j := range m {
			out[i*m+j] = dot(x, b[j*d:(j+1)*d])
		}
	}
	return out
}

// dot sums in four places at once, in an order that is always the same.
func dot(x, y []float64) float64 {
	var s0, s1, s2, s3 float64
	y = y[:len(x)]
	i := 0
	for ; i+4 <= len(x); i += 4 {
		s0 += x[i] * y[i]
		s1 += x[i+1] * y[i+1]
		s2 += x[i+2] * y[i+2]
		s3 += x[i+3] * y[i+3]
	}
	for ; i < len(x); i++ {
		s0 += x[i] * y[i]
	}
	return (s0 + s1) + (s2 + s3)
}

func squares(x []float64) float64 { return dot(x, x) }

// add adds factor·Σ weight·row.
func add(into []float64, factor float64, weights, rows []float64, d int) {
	for k, w := range weights {
		w *= factor
		row := rows[k*d : (k+1)*d]
		for j := range into {
			into[j] += w * row[j]
		}
	}
}
