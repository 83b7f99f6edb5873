package kernel

// packDepthwise lays out the weights [channel][tap] of a depthwise convolution as [tap][channel].
func (f *phase) packDepthwise(c Conv, weights []float32) {
	kernel := c.KernelH * c.KernelW
	i := 0
	for _, ky := range f.y.index {
		for _, kx := range f.x.index {
			for channel := range c.InC {
				f.b[i] = weights[channel*kernel+ky*c.KernelW+kx]
				i++
			}
		}
	}
}

// depthwiseTask is a convTask cut into lines.
type depthwiseTask struct {
	*convTask
	lines int // of a block
}

func (t *convTask) runDepthwise(pool *Pool) {
	d := &t.workspace.depthwise
	*d = depthwiseTask{convTask: t, lines: max(ceilDiv(t.N*t.ny, 4*blocksAtMost), 1)}
	t.workspace.reserve(pool.Threads(), 0, t.in, 0)
	pool.run(ceilDiv(t.N*t.ny, d.lines), d)
	*d = depthwiseTask{}
}

func (d *depthwiseTask) do(worker, block int) {
	sum := d.workspace.locals[worker].floats[:d.in]
	for i := block * d.lines; i < min((block+1)*d.lines, d.N*d.ny); i++ {
		d.line(sum, i/d.ny, i%d.ny)
	}
}

// line computes one line of output positions, in plain Go.
func (d *depthwiseTask) line(sum []float32, image, j int) {
	channels := d.in
	y := d.y.first + j*d.y.out
	for jx := range d.nx {
		pixel := (image*d.outH+y)*d.outW + d.x.first + jx*d.x.out
		copy(sum, d.bias)
		for i, ty := range d.y.taps {
			iy := j*d.y.in + ty
			if iy < 0 || iy >= d.inH {
				continue
			}
			for k, tx := range d.x.taps {
				ix := jx*d.x.in + tx
				if ix < 0 || ix >= d.inW {
					continue
				}
				in := d.Src[((image*d.inH+iy)*d.inW+ix)*d.SrcPitch:][:channels]
				w := d.b[(i*len(d.x.taps)+k)*channels:][:channels]
				for c, v := range in {
					sum[c] += v * w[c]
				}
			}
		}
		if d.Residual != nil {
			for c, v := range d.Residual[pixel*d.ResidualPitch:][:channels] {
				sum[c] += v
			}
		}
		out := d.Dst[pixel*d.DstPitch:][:channels]
		for c, v := range sum {
			out[c] = bound(v, d.low, d.high)
		}
		if d.rest != None {
			activateInto(d.set, d.rest, out, out)
		}
	}
}
