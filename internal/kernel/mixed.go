package kernel

// Mixed precision: tensors are float32, and rounded to bfloat16 where a kernel gathers what it
// multiplies. An element of the kernels is then a word of two numbers that are multiplied together.

// HasBFloat16 tells whether the instructions in use multiply bfloat16, so that rounding changes something.
func HasBFloat16() bool { return active().multiplies(elementBFloat16) }

// roundIfPossible makes a convolution, of which nothing is packed yet, one that rounds, if the
// processor and the channels allow it.
func (p *PackedConv) roundIfPossible() {
	c := p.conv
	if !p.set.multiplies(elementBFloat16) || c.Depthwise() || p.in/c.Groups%2 != 0 {
		return
	}
	if p.gradient {
		c.OutC /= 2
	} else {
		c.InC /= 2
	}
	if c.Depthwise() { // counted by twos, it would be taken for one
		return
	}
	p.conv, p.in = c, p.in/2
	p.rounds, p.kind = true, elementBFloat16
}

// wide returns the geometry with the channels that are summed over counted as they are.
func (p *PackedConv) wide() Conv {
	c := p.conv
	if p.gradient {
		c.OutC *= 2
	} else {
		c.InC *= 2
	}
	return c
}

// perWord is the number of channels of the source that make one element of the scratch image.
func (p *PackedConv) perWord() int {
	if p.rounds {
		return 2
	}
	return 1
}

// roundWeights returns weights rounded, by twos.
func (p *PackedConv) roundWeights(weights []float32) []float32 {
	if p.rounded == nil {
		p.rounded = aligned(len(weights) / 2)
	}
	roundRows(p.set, p.rounded, len(p.rounded), weights, len(weights), 1, len(p.rounded))
	return p.rounded
}

// packPairs is packGradient for output channels that are multiplied by twos.
func (f *phase) packPairs(c Conv, weights []float32) {
	in, out := c.InC/c.Groups, c.OutC/c.Groups // out counts twos
	kernel := c.KernelH * c.KernelW * in
	for g := range c.Groups {
		b := f.b[g*f.layout.size():]
		k := 0
		for _, ky := range f.y.index {
			for _, kx := range f.x.index {
				pairRows(f.layout, b, k, weights[2*g*out*kernel+(ky*c.KernelW+kx)*in:], kernel, 2*out)
				k += out
			}
		}
	}
}

// roundRows rounds rows of 2·words numbers to rows of words, both at a distance. dst may begin where
// src does.
func roundRows(set isa, dst []float32, dstRow int, src []float32, srcRow, rows, words int) {
	if dstRow == words && srcRow == 2*words {
		words, rows = words*rows, 1
	}
	for i := range rows {
		roundBFloat16(set, asHalves(dst[i*dstRow:][:words]), src[i*srcRow:][:2*words])
	}
}

// pairRows lays out rows of b, as numbers rounded and multiplied by twos of rows, in panels from row
// first of words on. The last of an odd number of rows goes with zeros.
func pairRows(l panels, dst []float32, first int, b []float32, row, rows int) {
	for p := range l.count {
		width := l.width(p)
		column := p * l.set.panelColumns()
		n := min(width, l.n-column)
		panel := dst[l.start(p)+first*width:][:ceilDiv(rows, 2)*width]
		if n < width {
			clear(panel)
		}
		for i := 0; i < rows; i += 2 {
			var high []float32
			if i+1 < rows {
				high = b[(i+1)*row+column:][:n]
			}
			pairBFloat16(l.set, panel[i/2*width:][:n], b[i*row+column:][:n], high)
		}
	}
}

// pairBFloat16 rounds two rows and lays them side by side, two and two; high is zero if it is nil.
func pairBFloat16(set isa, dst, low, high []float32) {
	if high != nil && pairBFloat16Assembly(set, dst, low, high) {
		return
	}
	words := asHalves(dst)
	for i, v := range low {
		words[2*i], words[2*i+1] = RoundBFloat16(v), 0
		if high != nil {
			words[2*i+1] = RoundBFloat16(high[i])
		}
	}
}

// GemmBFloat16 is Gemm with the elements of a and b rounded to bfloat16 as they are multiplied and
// sums in float32, where the processor has instructions for that; elsewhere it is Gemm.
func GemmBFloat16(pool *Pool, transA, transB bool, m, n, k int, alpha float32, a []float32, lda int, b []float32, ldb int, beta float32, c []float32, ldc int, workspace *Workspace) {
	gemm(active(), elementBFloat16, pool, transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc, workspace)
}

// ConvBackwardWeightsBFloat16 is ConvBackwardWeights with src and ddst rounded to bfloat16 as they are
// multiplied, where [GemmBFloat16] does that; depthwise convolutions are computed in float32. dbias is
// not rounded.
func ConvBackwardWeightsBFloat16(pool *Pool, c Conv, dweights, dbias, src, ddst []float32, n, h, w int, workspace *Workspace) error {
	if err := c.Validate(); err != nil {
		return err
	}
	convBackwardWeights(active(), elementBFloat16, pool, c.withDefaults(), dweights, dbias, src, ddst, n, h, w, workspace)
	return nil
}
