package nn

// Footprint is about how much memory a network takes: how many numbers there are. Kernels join layers and
// train and frozen programs place values more cleverly, so that it is an estimate from above.
type Footprint struct {
	Parameters int64
	Packed     int64 // parameters as kernels lay them out: Winograd's method takes four times as many
	Peak       int64 // of the values of an example that are in use at the same time when it is computed
	Values     int64 // of an example, all that a gradient may need
}

// Footprint estimates what the network takes. Axes that vary count as one.
func (n *Network) Footprint() Footprint {
	f := Footprint{}
	f.Parameters, _ = n.ParameterCount()
	owner := map[string]string{} // of the memory that a layer's output lies in
	last := map[string]int{}     // layer that reads it, by owner
	size := map[string]int64{}   // by owner
	for i, l := range n.layers {
		owner[l.Name] = l.Name
		if len(l.Inputs) > 0 && overwrites(l.Op) {
			owner[l.Name] = owner[l.Inputs[0]]
		}
		f.Packed += n.packed(l)
		numbers := int64(1)
		for _, axis := range n.Shape(l.Name) {
			numbers *= int64(max(axis, 1))
		}
		size[owner[l.Name]] = max(size[owner[l.Name]], numbers)
		for _, input := range append(l.Inputs[:len(l.Inputs):len(l.Inputs)], l.Name) {
			last[owner[input]] = i
		}
	}
	for _, name := range n.outputs {
		last[owner[name]] = len(n.layers)
	}
	ends := map[int]int64{}
	for name, i := range last {
		ends[i] += size[name]
	}
	var now int64
	for i, l := range n.layers {
		if owner[l.Name] == l.Name {
			now += size[l.Name]
			f.Values += size[l.Name]
		}
		f.Peak = max(f.Peak, now)
		now -= ends[i]
	}
	return f
}

// packed counts the parameters of a layer as kernels lay them out.
func (n *Network) packed(l Layer) (numbers int64) {
	for _, p := range n.LayerParameters(l) {
		numbers += int64(p.Shape.Size())
	}
	if op, ok := l.Op.(Conv); ok && op.Kernel == (Pair{3, 3}) && op.Stride.orOne() == (Pair{1, 1}) && op.Groups <= 1 {
		numbers *= 4
	}
	return numbers
}

// ValuesFrom counts the values of an example from the first layer on for which begins is true.
func (n *Network) ValuesFrom(begins func(Layer) bool) (numbers int64) {
	begun := false
	for _, l := range n.layers {
		if begun = begun || begins(l); !begun || overwrites(l.Op) {
			continue
		}
		of := int64(1)
		for _, axis := range n.Shape(l.Name) {
			of *= int64(max(axis, 1))
		}
		numbers += of
	}
	return numbers
}

// overwrites tells whether an op's output usually lies where its first input was.
func overwrites(op Op) bool {
	switch op.(type) {
	case BatchNorm, Activation, Dropout, Reshape:
		return true
	}
	return false
}
