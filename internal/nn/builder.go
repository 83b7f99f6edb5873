package nn

// Builder makes a network layer by layer. The first error sticks and comes out of [Builder.Network],
// so that an architecture reads as its table does, without a check at every line.
type Builder struct {
	prefix string
	state  *building
}

type building struct {
	network Network
	outputs []string
	err     error
}

// Value is the output of a layer under construction.
type Value struct {
	Name  string
	Shape Shape
}

// Same is [Shape.Same] of the value's shape.
func (v Value) Same(kernel, stride Pair) Padding { return v.Shape.Same(kernel, stride) }

// NewBuilder starts a network.
func NewBuilder() *Builder {
	return &Builder{state: &building{network: Network{index: map[string]int{}}}}
}

// Scope returns a builder of the same network whose layers have names in the scope.
func (b *Builder) Scope(name string) *Builder {
	return &Builder{prefix: b.prefix + name + ".", state: b.state}
}

// Input adds where examples of that shape enter.
func (b *Builder) Input(name string, shape ...int) Value {
	return b.Layer(name, Input{Shape: shape})
}

// Layer adds a layer that takes the given inputs.
func (b *Builder) Layer(name string, op Op, inputs ...Value) Value {
	l := Layer{Name: b.prefix + name, Op: op}
	for _, v := range inputs {
		l.Inputs = append(l.Inputs, v.Name)
	}
	if b.state.err == nil {
		b.state.err = b.state.network.add(l)
	}
	if b.state.err != nil {
		return Value{Name: l.Name, Shape: Shape{1, 1, 1}}
	}
	return Value{Name: l.Name, Shape: b.state.network.Shape(l.Name)}
}

// Outputs makes the values outputs of the network, after those that are already.
func (b *Builder) Outputs(values ...Value) {
	for _, v := range values {
		b.state.outputs = append(b.state.outputs, v.Name)
	}
}

// Network returns what has been built; unless [Builder.Outputs] says otherwise, its output is the layer
// added last.
func (b *Builder) Network() (*Network, error) {
	if b.state.err != nil {
		return nil, b.state.err
	}
	return New(b.state.network.layers, b.state.outputs...)
}
