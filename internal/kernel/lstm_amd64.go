package kernel

// forward computes gates, cell and state; false means that the set has no instructions for it.
func (t *lstmToken) forward(set isa) bool {
	u := t.units
	_, _, _, _, _ = t.gates[4*u-1], t.moved[4*u-1], t.bias[4*u-1], t.cell[u-1], t.state[u-1] // the assembly does not look
	if t.first == 0 {
		_ = t.before[u-1]
	}
	switch set {
	case avx512:
		lstmForwardAVX512(t)
	case avx2:
		lstmForwardAVX2(t)
	default:
		return false
	}
	return true
}

// backward computes flow and memory of gates, cell and the gradient of the state; false means that the set has no instructions for it.
func (t *lstmToken) backward(set isa) bool {
	u := t.units
	_, _, _, _, _ = t.gates[4*u-1], t.flow[4*u-1], t.memory[u-1], t.cell[u-1], t.state[u-1] // the assembly does not look
	if t.first == 0 {
		_ = t.before[u-1]
	}
	switch set {
	case avx512:
		lstmBackwardAVX512(t)
	case avx2:
		lstmBackwardAVX2(t)
	default:
		return false
	}
	return true
}
