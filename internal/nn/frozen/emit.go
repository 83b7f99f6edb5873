package frozen

// view says where the value lies.
func (v *value) view() view {
	w := view{element: v.element, channels: v.channels(), pixels: v.pixels(), pitch: v.channels(), varies: v.varies()}
	if v.maker == nil {
		w.input, w.source = true, v.source
		return w
	}
	w.offset, w.single, w.channel, w.pitch = v.home.offset, v.home.single, v.channel, v.pitch
	return w
}

// emit makes the steps of a node.
func (n *node) emit(o Options) ([]step, error) {
	in := make([]view, len(n.in))
	for i, v := range n.in {
		in[i] = v.view()
	}
	out := n.out.view()
	switch n.element {
	case bfloat16s:
		return n.kind.reduced.bfloat16(n, in, out)
	case uint8s:
		return n.kind.reduced.uint8(n, in, out)
	}
	return n.kind.emit(n, o, in, out)
}

// scaledWeight is the weight multiplied by the scale of the channel it leads to.
func (n *node) scaledWeight() []float32 {
	scaled := make([]float32, len(n.weight))
	row := len(n.weight) / len(n.scale)
	for channel, s := range n.scale {
		for i := channel * row; i < (channel+1)*row; i++ {
			scaled[i] = float32(float64(n.weight[i]) * s)
		}
	}
	return scaled
}

func narrow(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}
