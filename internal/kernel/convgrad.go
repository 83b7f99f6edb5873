package kernel

// ConvBackwardData computes dsrc, the gradient of a convolution's input, from ddst, that of its
// output. n, h and w are those of the input. It packs the weights at each call; see
// [PackConvGradient] for doing so apart. workspace may be nil.
func ConvBackwardData(pool *Pool, c Conv, dsrc, ddst, weights []float32, n, h, w int, workspace *Workspace) error {
	p, err := PackConvGradient(c, weights)
	if err != nil {
		return err
	}
	p.Run(pool, dsrc, ddst, n, h, w, nil, None, workspace)
	return nil
}

// ConvBackwardWeights computes dweights, [OutC][KernelH][KernelW][InC/Groups], and, unless it is
// nil, dbias, [OutC], from a convolution's input and the gradient of its output. n, h and w are
// those of the input. workspace may be nil.
func ConvBackwardWeights(pool *Pool, c Conv, dweights, dbias, src, ddst []float32, n, h, w int, workspace *Workspace) error {
	if err := c.Validate(); err != nil {
		return err
	}
	convBackwardWeights(active(), elementFloat32, pool, c.withDefaults(), dweights, dbias, src, ddst, n, h, w, workspace)
	return nil
}

func convBackwardWeights(set isa, kind element, pool *Pool, c Conv, dweights, dbias, src, ddst []float32, n, h, w int, workspace *Workspace) {
	oh, ow := c.OutSize(h, w)
	pixels := n * oh * ow
	need("convolution gradient", "dweights", dweights, c.WeightSize())
	need("convolution gradient", "src", src, n*h*w*c.InC)
	need("convolution gradient", "ddst", ddst, pixels*c.OutC)
	if dbias != nil {
		need("convolution gradient", "dbias", dbias, c.OutC)
		sumRows(set, pool, dbias, ddst, pixels, c.OutC)
	}
	if c.Depthwise() {
		depthwiseBackwardWeights(set, pool, c, dweights, src, ddst, n, h, w)
		return
	}
	space := workspace.orNew()
	in, out := c.InC/c.Groups, c.OutC/c.Groups
	for g := range c.Groups {
		space.patches = patches{conv: c, src: src, channel: g * in, n: n, h: h, w: w, oh: oh, ow: ow}
		space.gemm = gemmTask{
			set: set, kind: kind, workspace: space, m: out, n: c.KernelH * c.KernelW * in, k: pixels,
			aRow: c.OutC, aTransposed: true,
			right: &space.patches, c: dweights[g*out*c.KernelH*c.KernelW*in:], cRow: c.KernelH * c.KernelW * in,
		}
		if pixels > 0 {
			space.gemm.a = ddst[g*out:]
		}
		space.gemm.run(pool)
	}
	space.gemm, space.patches = gemmTask{}, patches{}
}

// patches is the matrix of what each output pixel sees: [pixel][ky][kx][channel].
type patches struct {
	conv            Conv
	src             []float32
	channel         int // first of the group
	n, h, w, oh, ow int
}

func (x *patches) pack(l panels, p int, dst []float32, first, n0 int) {
	c := x.conv
	in := c.InC / c.Groups
	width := l.width(p)
	column := n0 + p*l.set.panelColumns()
	n := min(width, l.n-p*l.set.panelColumns())
	dst = dst[:l.k*width]
	clear(dst)
	for j := 0; j < n; { // the channels of one tap
		tap, channel := (column+j)/in, (column+j)%in
		run := min(in-channel, n-j)
		dy := tap/c.KernelW*c.DilationH - c.PadTop
		dx := tap%c.KernelW*c.DilationW - c.PadLeft
		for k := 0; k < l.k; { // the pixels of one line
			pixel := first + k
			ox := pixel % x.ow
			line := pixel / x.ow
			pixels := min(x.ow-ox, l.k-k)
			y := line%x.oh*c.StrideH + dy
			if y >= 0 && y < x.h {
				from := max(ox, ceilDiv(max(-dx, 0), c.StrideW))
				to := min(ox+pixels, ceilDiv(max(x.w-dx, 0), c.StrideW))
				if from < to {
					at := ((line/x.oh*x.h+y)*x.w+from*c.StrideW+dx)*c.InC + x.channel + channel
					gather(l.set, dst[(k+from-ox)*width+j:], width, x.src[at:], c.StrideW*c.InC, to-from, run)
				}
			}
			k += pixels
		}
		j += run
	}
}
