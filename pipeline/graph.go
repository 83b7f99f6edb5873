package pipeline

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/secret"
	"github.com/tlpipe/tlpipe/pipeline/cache"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Graph is a pipeline ready to run: variables filled in, the matrix multiplied
// out, parameters decoded, ports connected and checked.
type Graph struct {
	Name  string
	File  string // absolute
	Seed  uint64
	Nodes []*Node // every node after those it takes from

	secrets *secret.Values
	lines   []string // of the YAML, for messages
	named   string   // the file as the caller named it
}

// Hide returns a text without the pipeline's secrets and those of addresses.
// All that a run tells has gone through it.
func (g *Graph) Hide(text string) string {
	if g == nil || g.secrets == nil {
		return secret.Text(text)
	}
	return g.secrets.Hide(text)
}

func (g *Graph) hideError(err error) error {
	if g == nil || g.secrets == nil {
		return secret.Error(err)
	}
	return g.secrets.Error(err)
}

func (g *Graph) hideAll(texts []string) []string {
	var out []string
	for _, t := range texts {
		out = append(out, g.Hide(t))
	}
	return out
}

// Node is one stage at one place of the matrix.
type Node struct {
	Name        string // "features", or "features[backbone=resnet50]"
	Declared    *StageSpec
	Kind        Kind
	Params      any // decoded, of the type of Kind.Params
	Stage       Stage
	Seed        uint64
	Coordinates Coordinates
	Inputs      []Edge            // in the order of the kind's ports, those that take lists last
	Traits      map[string]Traits // of the outputs
	Recipe      cache.Preimage

	graph *Graph
	with  *yaml.Node // the parameters, for messages
}

// reporter is one for what is found after the graph was made.
func (g *Graph) reporter() *reporter {
	r := newReporter(g.named, nil)
	r.lines = g.lines
	if g.secrets != nil {
		r.secrets = *g.secrets
	}
	return r
}

// Probe looks whether the files and folders that the stages name are there. The error holds every problem, as Problems.
func (g *Graph) Probe() error {
	r := g.reporter()
	for _, n := range g.Nodes {
		if stage, ok := n.Stage.(Probing); ok {
			if err := stage.Probe(); err != nil {
				r.stage(n.Declared.Name, n.Declared.uses, n.with, err)
			}
		}
	}
	return r.err()
}

// Notes are the lines that the stage would have a user be told; see [Noted].
func (n *Node) Notes() []string {
	if noted, ok := n.Stage.(Noted); ok {
		return n.graph.hideAll(noted.Notes())
	}
	return nil
}

// ShownParams lists the node's parameters as they may be shown.
func (n *Node) ShownParams() []params.Value {
	out := params.Flatten(n.Params)
	for i := range out {
		out[i].Text = n.graph.Hide(out[i].Text)
	}
	return out
}

// Edge connects an input port to an output of another node.
type Edge struct {
	Port     string
	Many     bool
	From     *Node
	FromPort string
}

// name is what stands for the output among others: the stage's name where that alone means it, else STAGE.PORT.
func (e Edge) name() string {
	outputs := e.From.Kind.Outputs
	at := slices.IndexFunc(outputs, func(p Port) bool { return p.Name == e.FromPort })
	if at > 0 && slices.ContainsFunc(outputs[:at], func(p Port) bool { return p.Kind == outputs[at].Kind }) {
		return e.From.Name + "." + e.FromPort
	}
	return e.From.Name
}

// RejectsPort is the output that every stage has besides those it declares:
// the rows it could not use, as id and reason.
const RejectsPort = "rejects"

// Node returns the node of that name.
func (g *Graph) Node(name string) (*Node, bool) {
	for _, n := range g.Nodes {
		if n.Name == name {
			return n, true
		}
	}
	return nil, false
}

// Instances returns the nodes of a declared stage.
func (g *Graph) Instances(stage string) []*Node {
	var out []*Node
	for _, n := range g.Nodes {
		if n.Declared.Name == stage {
			out = append(out, n)
		}
	}
	return out
}

// Load reads a pipeline and makes its graph, refusing all that can be known to
// be wrong before anything runs: the error holds every problem, as Problems.
// file is where the text came from; relative paths in it start at its folder.
func Load(file string, text []byte, kinds []Kind, overrides ...Override) (*Graph, error) {
	r := newReporter(file, text)
	root := parseYAML(r, text)
	if root == nil {
		return nil, r.err()
	}
	for _, o := range overrides {
		o.apply(r, root)
	}
	if !r.countStages(root) {
		return nil, r.err()
	}
	spec := readSpec(r, root)
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("find the folder of %s: %w", file, err)
	}
	b := &builder{
		reporter: r, spec: spec, kinds: kinds, seed: spec.Seed,
		vars: scope{}, axes: map[string]scope{}, built: map[string][]*Node{}, broken: map[string]bool{}, used: map[string]bool{},
		graph: &Graph{Name: spec.Name, File: abs, Seed: spec.Seed, lines: r.lines, named: file},
	}
	for _, v := range spec.Vars {
		b.vars[v.Name] = b.vars.fill(r, v.Value)
		if r.overSpent() {
			return nil, r.err() // what depends on it would be told wrongly
		}
	}
	for _, st := range b.order() {
		b.stage(st)
	}
	b.graph.secrets = &r.secrets
	if len(r.problems) == 0 { // a stage with faults may be the one that uses it
		b.refuseUnusedAxes()
	}
	return b.graph, r.err()
}

// builder makes a graph of a spec, stage by stage.
type builder struct {
	*reporter
	spec   *Spec
	kinds  []Kind
	seed   uint64
	vars   scope
	axes   map[string]scope   // by axis: the values by label
	built  map[string][]*Node // by stage name
	broken map[string]bool    // stages with problems: what follows is not checked
	used   map[string]bool    // axes whose values some parameter takes
	idle   []idleParams       // of the instances of the stage that is built
	graph  *Graph
}

// refuseUnusedAxes refuses an axis whose values nothing takes: it would do the same work several times and
// present it as results that agree.
func (b *builder) refuseUnusedAxes() {
	for i := range b.spec.Stages {
		st := &b.spec.Stages[i]
		for _, axis := range st.Matrix {
			if len(axis.Labels) > 1 && !b.used[axis.Name] {
				b.at(axis.key, fmt.Sprintf("write $(%s) where its value belongs", axis.Name),
					"no parameter of stage %s, or of one that follows, takes the values of axis %s: all instances would be the same", st.Name, axis.Name)
			}
		}
	}
}

// order sorts the stages so that each comes after those it takes from,
// otherwise as declared, and reports unknown stages and cycles.
func (b *builder) order() []*StageSpec {
	byName := map[string]*StageSpec{}
	names := make([]string, len(b.spec.Stages))
	for i := range b.spec.Stages {
		st := &b.spec.Stages[i]
		byName[st.Name], names[i] = st, st.Name
	}
	const visiting, done = 1, 2
	state := map[string]int{}
	var out []*StageSpec
	var path []string
	var visit func(st *StageSpec)
	visit = func(st *StageSpec) {
		state[st.Name] = visiting
		path = append(path, st.Name)
		for _, c := range st.From {
			for _, ref := range c.References {
				target := byName[ref.Stage]
				switch {
				case target == nil:
					b.at(ref.node, params.DidYouMean(ref.Stage, names), "stage %s takes from %q, which is not declared", st.Name, ref.Stage)
					b.broken[st.Name] = true
				case state[target.Name] == visiting:
					loop := append(slices.Clone(path[slices.Index(path, target.Name):]), target.Name)
					b.at(ref.node, "", "the stages go round in a circle: %s", strings.Join(loop, " → "))
					b.broken[st.Name] = true
				case state[target.Name] == 0:
					visit(target)
				}
			}
		}
		path = path[:len(path)-1]
		state[st.Name] = done
		out = append(out, st)
	}
	for i := range b.spec.Stages {
		if st := &b.spec.Stages[i]; state[st.Name] == 0 {
			visit(st)
		}
	}
	return out
}

// stage adds the nodes of one declared stage.
func (b *builder) stage(st *StageSpec) {
	before := len(b.problems)
	kind, ok := b.kind(st)
	if !ok {
		b.broken[st.Name] = true
		return
	}
	b.declareAxes(st)
	bound, ok := b.bind(st, kind)
	if !ok || b.broken[st.Name] {
		b.broken[st.Name] = true
		if len(st.Matrix) == 0 {
			b.decode(st, kind, st.With, scopes{b.vars}) // find what is wrong there too
		}
		return
	}
	combinations := b.combinations(st, bound)
	b.idle = nil
	for _, combination := range combinations {
		b.node(st, kind, combination)
	}
	b.refuseIdle(st, len(combinations))
	if len(combinations) == 0 {
		b.broken[st.Name] = true
		b.decode(st, kind, st.With, b.anyAxes()) // its inputs are broken; it may be so too
	}
	if len(b.problems) > before {
		b.broken[st.Name] = true
	}
}

func (b *builder) kind(st *StageSpec) (Kind, bool) {
	names := make([]string, len(b.kinds))
	for i, k := range b.kinds {
		if k.Name == st.Uses {
			return k, true
		}
		names[i] = k.Name
	}
	if st.Uses != "" {
		b.at(st.uses, params.DidYouMean(st.Uses, names), "stage %s uses %q, which is not a kind of stage", st.Name, st.Uses)
	}
	return Kind{}, false
}

// declareAxes makes the values of a stage's matrix known by axis and label.
func (b *builder) declareAxes(st *StageSpec) {
	told := len(b.problems)
	for i := range st.Matrix {
		axis := &st.Matrix[i]
		if axis.Labels == nil && len(axis.Values) == 1 {
			list := b.vars.fill(b.reporter, axis.Values[0])
			if list.Kind != yaml.SequenceNode {
				b.at(axis.Values[0], "such as [1, 2, 3]", "the values of axis %s are not a list", axis.Name)
				axis.Labels = []string{list.Value}
				axis.Values = []*yaml.Node{list}
			} else {
				axis.Values = nil
				axis.take(list, b.at)
				axis.check(list, b.at)
			}
		}
		if _, taken := b.axes[axis.Name]; taken {
			b.at(axis.key, "axes of one pipeline have different names", "axis %s is declared by another stage too", axis.Name)
		}
		values, numbers, renamed := scope{}, map[string]string{}, false // numbers: their labels
		for j, label := range axis.Labels {
			value := b.vars.fill(b.reporter, axis.Values[j])
			if b.hasEnvironment(value) && value.Kind == yaml.ScalarNode && label == axis.Values[j].Value {
				b.at(axis.Values[j], "give it a name: {name: $(env:…)}", "a value from the environment is taken for a secret, and cannot label an axis value")
				continue
			}
			if label == axis.Values[j].Value && value.Kind == yaml.ScalarNode && value.Value != label {
				// A variable in a list: its value is the label.
				label, axis.Labels[j], renamed = value.Value, value.Value, true
			}
			if n, isNumber := number(value); isNumber {
				if before, again := numbers[n.RatString()]; again && before != label {
					b.at(axis.Values[j], "", "%s and %s on axis %s are the same number", before, label, axis.Name)
				} else {
					numbers[n.RatString()] = label
				}
			}
			values[label] = value
		}
		if renamed {
			axis.check(axis.key, b.at)
		}
		b.axes[axis.Name] = values
	}
	if len(b.problems) > told {
		b.broken[st.Name] = true
	}
}

// anyAxes is the variables with some value of each axis.
func (b *builder) anyAxes() scopes {
	some := scope{}
	for axis, values := range b.axes {
		if labels := sortedKeys(values); len(labels) > 0 {
			some[axis] = values[labels[0]]
		}
	}
	return b.vars.with(some)
}

// binding is an input port with the references that feed it.
type binding struct {
	port Port
	refs []Reference
}

// bind connects the declared `from` to the ports of the kind.
func (b *builder) bind(st *StageSpec, kind Kind) ([]binding, bool) {
	ok := true
	fed := map[string][]Reference{}
	for _, c := range st.From {
		name := c.Port
		if len(kind.Inputs) == 0 {
			b.at(st.from, "", "stage %s (%s) takes no input", st.Name, kind.Name)
			return nil, false
		}
		if name == "" {
			name = kind.Inputs[0].Name
		}
		port, known := kind.Input(name)
		if !known {
			b.at(st.from, params.DidYouMean(name, portNames(kind.Inputs)), "stage %s (%s) has no input %q", st.Name, kind.Name, name)
			ok = false
			continue
		}
		if len(c.References) > 1 && !port.Many {
			b.at(st.from, "", "input %s of stage %s (%s) takes one stage, not %d", name, st.Name, kind.Name, len(c.References))
			ok = false
			continue
		}
		fed[name] = c.References
	}
	var out []binding
	for _, port := range kind.Inputs {
		refs := fed[port.Name]
		if len(refs) == 0 && !port.Optional {
			b.at(st.from, fmt.Sprintf("it takes %s: say which stage with from:", port.Kind), "stage %s (%s) needs its input %s", st.Name, kind.Name, port.Name)
			ok = false
		}
		out = append(out, binding{port, refs})
	}
	return out, ok
}

// combination is one place of the matrix at which a stage runs.
type combination struct {
	coordinates Coordinates
	edges       []Edge
}

// combinations multiplies the instances of a stage's inputs, where they fit
// together, with its own axes.
func (b *builder) combinations(st *StageSpec, bound []binding) []combination {
	told := len(b.problems)
	out := []combination{{coordinates: Coordinates{}}}
	room := b.spec.MaxInstances - len(b.graph.Nodes)
	tooMany := func(n int) bool {
		if n > room {
			b.at(st.key, fmt.Sprintf("fewer values, or max_instances: N at the top of the pipeline if it is meant (now %d)", b.spec.MaxInstances),
				"the matrix makes more than %d instances of stages, with those of stage %s", b.spec.MaxInstances, st.Name)
		}
		return n > room
	}
	for _, bi := range bound {
		if bi.port.Many {
			continue
		}
		for _, ref := range bi.refs {
			var next []combination
			for _, c := range out {
				for _, edge := range b.instances(st, bi.port, ref) {
					if edge.From.Coordinates.Fits(c.coordinates) {
						next = append(next, c.join(edge))
					}
				}
				if tooMany(len(next)) {
					return nil
				}
			}
			out = next
		}
	}
	for _, axis := range st.Matrix {
		if len(axis.Labels) > 0 && tooMany(len(out)*len(axis.Labels)) {
			return nil
		}
		var next []combination
		for _, c := range out {
			for _, label := range axis.Labels {
				d := c.clone()
				d.coordinates[axis.Name] = label
				next = append(next, d)
			}
		}
		out = next
	}
	for i := range out {
		for _, bi := range bound {
			if !bi.port.Many {
				continue
			}
			for _, ref := range bi.refs {
				for _, edge := range b.instances(st, bi.port, ref) {
					if edge.From.Coordinates.Fits(out[i].coordinates) {
						out[i].edges = append(out[i].edges, edge)
					}
				}
			}
		}
	}
	noValues := slices.ContainsFunc(st.Matrix, func(a Axis) bool { return len(a.Labels) == 0 }) // told when it was read
	if len(out) == 0 && !noValues && !b.anyBroken(bound) && len(b.problems) == told {
		b.at(st.from, "", "stage %s: no instances of its inputs fit together", st.Name)
	}
	return out
}

func (b *builder) anyBroken(bound []binding) bool {
	for _, bi := range bound {
		for _, ref := range bi.refs {
			if b.broken[ref.Stage] {
				return true
			}
		}
	}
	return false
}

func (c combination) clone() combination {
	d := combination{coordinates: Coordinates{}, edges: slices.Clone(c.edges)}
	for k, v := range c.coordinates {
		d.coordinates[k] = v
	}
	return d
}

func (c combination) join(e Edge) combination {
	d := c.clone()
	for k, v := range e.From.Coordinates {
		d.coordinates[k] = v
	}
	d.edges = append(d.edges, e)
	return d
}

// instances resolves a reference to the nodes it means and the output port.
func (b *builder) instances(st *StageSpec, port Port, ref Reference) []Edge {
	if b.broken[ref.Stage] {
		return nil
	}
	var out []Edge
	for _, node := range b.built[ref.Stage] {
		if !fitsAll(ref.Coordinates, node.Coordinates) {
			continue
		}
		name, ok := b.outputFor(st, port, ref, node.Kind)
		if !ok {
			return nil
		}
		out = append(out, Edge{Port: port.Name, Many: port.Many, From: node, FromPort: name})
	}
	if len(out) == 0 {
		var have []string
		for _, node := range b.built[ref.Stage] {
			have = append(have, "["+node.Coordinates.String()+"]")
		}
		b.at(ref.node, "it has "+strings.Join(have, " "), "stage %s has no instance [%s]", ref.Stage, ref.Coordinates)
	}
	return out
}

// fitsAll is Fits, where every axis that is asked for must be there.
func fitsAll(asked, have Coordinates) bool {
	for axis, v := range asked {
		if have[axis] != v {
			return false
		}
	}
	return true
}

func (b *builder) outputFor(st *StageSpec, port Port, ref Reference, from Kind) (string, bool) {
	if ref.Port == "" {
		for _, out := range from.Outputs {
			if port.Takes(out.Kind) {
				return out.Name, true
			}
		}
		b.at(ref.node, "", "input %s of stage %s takes %s, but stage %s (%s) gives %s",
			port.Name, st.Name, port.Kind, ref.Stage, from.Name, portList(from.Outputs))
		return "", false
	}
	out, ok := from.Output(ref.Port)
	if ref.Port == RejectsPort {
		out, ok = Port{Name: RejectsPort, Kind: Metrics}, true
	}
	if !ok {
		known := append(portNames(from.Outputs), RejectsPort)
		b.at(ref.node, params.DidYouMean(ref.Port, known), "stage %s (%s) has no output %q", ref.Stage, from.Name, ref.Port)
		return "", false
	}
	if !port.Takes(out.Kind) {
		b.at(ref.node, "", "input %s of stage %s takes %s, but %s.%s is %s", port.Name, st.Name, port.Kind, ref.Stage, out.Name, out.Kind)
		return "", false
	}
	return out.Name, true
}

// decode reads a stage's parameters with variables filled in.
func (b *builder) decode(st *StageSpec, kind Kind, with *yaml.Node, vars scopes) (any, *yaml.Node, bool) {
	before := len(b.problems)
	filled := vars.fill(b.reporter, with)
	b.keepSecrets(reflect.TypeOf(kind.Params), filled, "")
	target := reflect.New(reflect.TypeOf(kind.Params))
	target.Elem().Set(reflect.ValueOf(kind.Params))
	place := filled
	if place == nil {
		place = &yaml.Node{Kind: yaml.MappingNode, Line: st.key.Line, Column: st.key.Column}
	}
	errs := params.Decode(place, target.Interface())
	for _, key := range misplaced(place, reflect.TypeOf(kind.Params)) {
		for _, e := range errs {
			if e.Path == "" && e.Line == key.Line && e.Column == key.Column {
				e.Hint = key.Value + " goes beside with, not into it"
			}
		}
	}
	b.params(place, "stage "+st.Name+": ", errs...)
	return target.Elem().Interface(), place, len(b.problems) == before
}

// misplaced are the keys among a stage's parameters that are no parameters but belong to the stage itself.
func misplaced(with *yaml.Node, parameters reflect.Type) (keys []*yaml.Node) {
	names := func(t reflect.Type) (names []string) {
		for _, f := range params.Fields(t) {
			names = append(names, f.Name)
		}
		return names
	}
	own, parameter := names(reflect.TypeFor[stageBody]()), names(parameters)
	for i := 0; i+1 < len(with.Content); i += 2 {
		if key := with.Content[i]; slices.Contains(own, key.Value) && !slices.Contains(parameter, key.Value) {
			keys = append(keys, key)
		}
	}
	return keys
}

// node makes one node and checks it.
func (b *builder) node(st *StageSpec, kind Kind, c combination) {
	own := scope{}
	for axis, label := range c.coordinates {
		own[axis] = b.axes[axis][label]
	}
	vars := b.vars.with(own)
	b.reporter.lookedUp = map[string]bool{}
	decoded, with, ok := b.decode(st, kind, st.With, vars)
	if !ok {
		return
	}
	stage, err := kind.New(decoded)
	idle, err := splitIdle(err)
	b.idle = append(b.idle, idleParams{with, idle})
	if err != nil {
		b.reporter.stage(st.Name, st.uses, with, err)
		return
	}
	n := &Node{
		Name: st.Name, Declared: st, Kind: kind, Params: decoded, Stage: stage,
		Seed: b.seed, Coordinates: c.coordinates, Inputs: c.edges, graph: b.graph, with: with,
	}
	if len(c.coordinates) > 0 {
		n.Name += "[" + c.coordinates.String() + "]"
	}
	if st.Seed != nil {
		byParameters := maps.Clone(b.reporter.lookedUp)
		seed := vars.fill(b.reporter, st.Seed)
		if b.hasEnvironment(seed) {
			b.at(st.Seed, "", "stage %s: a value from the environment is taken for a secret, and a seed is stored and shown", st.Name)
			return
		}
		if !kind.Seeded {
			b.reporter.lookedUp = byParameters // the seed changes nothing
		}
		n.Seed, err = strconv.ParseUint(seed.Value, 10, 64)
		if err != nil {
			b.at(st.Seed, "a whole number, 0 or more", "stage %s: seed is %q", st.Name, seed.Value)
			return
		}
	}
	for axis := range c.coordinates {
		b.used[axis] = b.used[axis] || b.reporter.lookedUp[axis]
	}
	if located, ok := stage.(Located); ok {
		located.Locate(filepath.Dir(b.graph.File))
	}
	inputs := map[string][]Traits{}
	for _, e := range n.Inputs {
		inputs[e.Port] = append(inputs[e.Port], e.From.Traits[e.FromPort])
	}
	if connected, ok := stage.(Connected); ok {
		outputs := map[string][]NodeOutput{}
		for _, e := range n.Inputs {
			outputs[e.Port] = append(outputs[e.Port], NodeOutput{e.From.Name, e.FromPort})
		}
		err = connected.Connect(outputs)
	}
	if err == nil {
		n.Traits, err = stage.Check(inputs)
	}
	if err != nil {
		b.reporter.stage(n.Name, st.uses, with, err)
		return
	}
	if n.Recipe, err = n.recipe(); err != nil {
		b.reporter.stage(n.Name, st.uses, with, err)
		return
	}
	b.built[st.Name] = append(b.built[st.Name], n)
	b.graph.Nodes = append(b.graph.Nodes, n)
}

// idleParams are the parameters of an instance that nothing takes.
type idleParams struct {
	with *yaml.Node
	errs []*params.Error
}

func (i idleParams) has(path string) bool {
	return slices.ContainsFunc(i.errs, func(e *params.Error) bool { return e.Path == path })
}

// splitIdle takes errors of parameters that nothing takes out of others.
func splitIdle(err error) (idle []*params.Error, others error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var rest []error
		for _, e := range joined.Unwrap() {
			more, other := splitIdle(e)
			idle, rest = append(idle, more...), append(rest, other)
		}
		return idle, errors.Join(rest...)
	}
	if e, ok := err.(*params.Error); ok && e.Idle {
		return []*params.Error{e}, nil
	}
	return nil, err
}

// refuseIdle refuses parameters that no instance of a stage takes.
func (b *builder) refuseIdle(st *StageSpec, instances int) {
	if len(b.idle) < instances || instances == 0 {
		return // others failed before
	}
	for _, e := range b.idle[0].errs {
		if !slices.ContainsFunc(b.idle, func(i idleParams) bool { return !i.has(e.Path) }) {
			b.params(b.idle[0].with, "stage "+st.Name+": ", e)
		}
	}
}

// recipe lists all that decides the node's outputs but its inputs.
func (n *Node) recipe() (cache.Preimage, error) {
	p := cache.Preimage{
		{Name: "stage", Value: n.Kind.Name},
		{Name: "version", Value: strconv.Itoa(n.Kind.Version)},
	}
	if numeric, ok := n.Stage.(Numeric); ok {
		p = append(p, cache.Field{Name: "numerics", Value: numeric.Numerics()})
	}
	if n.Kind.Seeded {
		p = append(p, cache.Field{Name: "seed", Value: strconv.FormatUint(n.Seed, 10)})
	}
	if identified, ok := n.Stage.(Identified); ok {
		facts, err := identified.Identity()
		if err != nil {
			return nil, err
		}
		for _, name := range sortedKeys(facts) {
			p = append(p, cache.Field{Name: name, Value: facts[name]})
		}
	}
	for _, v := range params.Canonical(n.Params) {
		p = append(p, cache.Field{Name: "params." + v.Path, Value: v.Text})
	}
	return p, nil
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func portNames(ports []Port) []string {
	out := make([]string, len(ports))
	for i, p := range ports {
		out[i] = p.Name
	}
	return out
}

func portList(ports []Port) string {
	out := make([]string, len(ports))
	for i, p := range ports {
		out[i] = fmt.Sprintf("%s (%s)", p.Name, p.Kind)
	}
	return strings.Join(out, ", ")
}
