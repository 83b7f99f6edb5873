package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/budget"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Spec is a pipeline as its YAML declares it, before variables are filled in.
type Spec struct {
	Name   string
	Seed   uint64
	Vars   []Variable
	Stages []StageSpec

	MaxInstances int // of all stages together, in the matrix
}

// Variable is a named value, used as $(name).
type Variable struct {
	Name  string
	Value *yaml.Node
	key   *yaml.Node
}

// StageSpec is one declared stage.
type StageSpec struct {
	Name       string
	Uses       string
	From       []Connection
	With       *yaml.Node // nil if absent
	Matrix     []Axis
	Seed       *yaml.Node // nil: the pipeline's; may hold a variable
	OnError    OnError
	MaxRejects Limit

	key, uses, from *yaml.Node // places for messages
}

// Connection feeds an input port from references to stages.
type Connection struct {
	Port       string // "" for the first input
	References []Reference
}

// Reference names a stage's output: stage, stage.port, stage[axis=value].
type Reference struct {
	Stage       string
	Coordinates Coordinates // nil for all instances
	Port        string      // "" for the first output that fits
	node        *yaml.Node
}

// Axis is one axis of a matrix: its name and labelled values.
type Axis struct {
	Name   string
	Labels []string
	Values []*yaml.Node
	key    *yaml.Node
}

// OnError says what becomes of a row that fails.
type OnError string

// What becomes of a row that fails.
const (
	RejectRows  OnError = "reject" // it goes to the stage's rejects; the default
	FailOnError OnError = "fail"   // it fails the stage
)

// Limit bounds the number of rejected rows: a number, or a share of all rows.
type Limit struct {
	Set   bool
	Count int64
	Share float64 // of all rows, if Count is not used
}

func (l Limit) String() string {
	switch {
	case !l.Set:
		return "no limit"
	case l.Share > 0:
		return strconv.FormatFloat(100*l.Share, 'g', -1, 64) + "%"
	default:
		return strconv.FormatInt(l.Count, 10)
	}
}

// exceeded tells whether so many rejects of so many rows are too many.
func (l Limit) exceeded(rejects, rows int64) bool {
	switch {
	case !l.Set:
		return false
	case l.Share > 0:
		return float64(rejects) > l.Share*float64(rows)
	default:
		return rejects > l.Count
	}
}

var stageName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// readSpec reads a pipeline's YAML, strictly, and reports every problem.
func readSpec(r *reporter, root *yaml.Node) *Spec {
	doc := document{MaxInstances: defaultMaxInstances, MaxValues: r.maxValues}
	errs := params.Decode(root, &doc)
	r.params(root, "", errs...)
	if doc.MaxValues != r.maxValues {
		r.at(params.Locate(root, "max_values"), "", "max_values counts before the YAML is read: write it as a plain number in a line of its own")
	}
	for i := range doc.Stages {
		st := &doc.Stages[i]
		if st.OnError == "" {
			st.OnError = doc.OnError
		}
		if !st.MaxRejects.Set {
			st.MaxRejects = doc.MaxRejects
		}
	}
	if doc.Name == "" {
		doc.Name = "pipeline"
	}
	if len(doc.Stages) == 0 && len(errs) == 0 {
		r.at(root, "`tlpipe stages` lists what a stage can use", "there are no stages")
	}
	return &Spec{Name: doc.Name, Seed: doc.Seed, Vars: doc.Vars, Stages: doc.Stages, MaxInstances: doc.MaxInstances}
}

// document is the top level of the YAML.
type document struct {
	Name       string    `yaml:"name" doc:"names the pipeline in reports and in the cache"`
	Seed       uint64    `yaml:"seed" doc:"seed of everything random"`
	Vars       variables `yaml:"vars" doc:"values used as $(name)"`
	OnError    OnError   `yaml:"on_error" enum:"reject,fail" doc:"what becomes of a row that fails, unless the stage says"`
	MaxRejects Limit     `yaml:"max_rejects" doc:"a number, or a share such as 1%: more rejected rows than this fail the stage"`
	Stages     stageList `yaml:"stages" required:"true" doc:"the stages, by name"`

	MaxInstances int `yaml:"max_instances" min:"1" doc:"how many instances of stages the matrix may make, all together"`
	MaxValues    int `yaml:"max_values" min:"1" doc:"how many values the YAML may hold, and may become when aliases and variables are filled in; 64 bytes of text for each"`
}

// HintForKey implements params.Hinter.
func (*document) HintForKey(key string) string {
	if strings.HasPrefix(key, "x-") || strings.HasPrefix(key, ".") {
		return "what several stages share goes under vars: and is used as $(name)"
	}
	return ""
}

// defaultMaxInstances is more than anyone means, and few enough to be checked within seconds.
const defaultMaxInstances = 10_000

// defaultMaxValues is more than the largest matrix needs, and few enough to be read within seconds.
const defaultMaxValues = 1_000_000

// maxValuesForm finds max_values before the YAML is read.
var maxValuesForm = regexp.MustCompile(`(?m)^max_values:[ \t]+([0-9_]+)[ \t]*(?:#.*)?\r?$`)

// count refuses a text before it is read that holds more values than allowed: reading takes a hundred times its size.
func (r *reporter) count(text []byte) bool {
	if m := maxValuesForm.FindSubmatch(text); m != nil {
		if n, err := strconv.Atoi(strings.ReplaceAll(string(m[1]), "_", "")); err == nil && n > 0 {
			r.maxValues = n
		}
	}
	// A value ends a line or stands before or behind one of these; those in texts and comments count, too.
	values := 0
	for _, c := range text {
		switch c {
		case '\n', ':', ',', '[', '{':
			values++
		}
	}
	if values > r.maxValues {
		r.place(0, 0, r.raise(), fmt.Sprintf("it may hold more than %d values, which is the limit", r.maxValues))
		return false
	}
	if int64(len(text)) > r.maxText() {
		r.place(0, 0, r.raise(), fmt.Sprintf("it has %s of text, the limit is %s", budget.Bytes(int64(len(text))), budget.Bytes(r.maxText())))
		return false
	}
	return true
}

// countStages refuses more stages than there may be instances, before they are read: each is one at least.
func (r *reporter) countStages(root *yaml.Node) bool {
	most := defaultMaxInstances
	if n, err := strconv.Atoi(strings.ReplaceAll(params.Locate(root, "max_instances").Value, "_", "")); err == nil && n > 0 {
		most = n
	}
	stages := params.Locate(root, "stages")
	if n := len(stages.Content) / 2; stages != root && n > most {
		r.at(stages, fmt.Sprintf("max_instances: N at the top of the pipeline if they are meant (now %d)", most), "there are %d stages, the limit is %d", n, most)
		return false
	}
	return true
}

// maxText is how much text a pipeline may hold, in bytes.
func (r *reporter) maxText() int64 { return budget.Proportional(int64(r.maxValues), 0, 64) }

func (r *reporter) raise() string {
	return fmt.Sprintf("max_values: N at the top of the pipeline if it is meant (now %d)", r.maxValues)
}

type variables []Variable

// DecodeParam implements params.Decoder.
func (v *variables) DecodeParam(d *params.Decoding, node *yaml.Node) {
	eachEntry(d, node, func(key, value *yaml.Node) {
		*v = append(*v, Variable{Name: key.Value, Value: value, key: key})
	})
}

type stageList []StageSpec

// DecodeParam implements params.Decoder.
func (l *stageList) DecodeParam(d *params.Decoding, node *yaml.Node) {
	eachEntry(d, node, func(key, value *yaml.Node) {
		if !stageName.MatchString(key.Value) {
			d.Errorf(key, "letters, digits, - and _, a letter first", "%q cannot name a stage", key.Value)
			return
		}
		var body stageBody
		d.Into(value, &body)
		st := StageSpec{
			Name: key.Value, Uses: body.Uses, From: body.From, With: body.With.node, Matrix: body.Matrix,
			Seed: body.Seed.node, OnError: body.OnError, MaxRejects: body.MaxRejects,
			key: key, uses: childOr(value, "uses", key), from: childOr(value, "from", key),
		}
		*l = append(*l, st)
	})
}

type stageBody struct {
	Uses       string      `yaml:"uses" required:"true" doc:"the kind of stage"`
	From       connections `yaml:"from" doc:"where the inputs come from: a stage, a list, or a mapping of ports"`
	With       rawNode     `yaml:"with" doc:"the parameters"`
	Matrix     matrix      `yaml:"matrix" doc:"axes of values: the stage and what follows from it run once for each"`
	Seed       rawNode     `yaml:"seed" doc:"instead of the pipeline's seed"`
	OnError    OnError     `yaml:"on_error" enum:"reject,fail" doc:"what becomes of a row that fails"`
	MaxRejects Limit       `yaml:"max_rejects" doc:"a number, or a share such as 1%"`
}

type rawNode struct{ node *yaml.Node }

// DecodeParam implements params.Decoder.
func (n *rawNode) DecodeParam(_ *params.Decoding, node *yaml.Node) { n.node = node }

type connections []Connection

// DecodeParam implements params.Decoder.
func (c *connections) DecodeParam(d *params.Decoding, node *yaml.Node) {
	if node.Kind == yaml.MappingNode {
		eachEntry(d, node, func(key, value *yaml.Node) {
			*c = append(*c, Connection{Port: key.Value, References: references(d, value)})
		})
		return
	}
	*c = append(*c, Connection{References: references(d, node)})
}

func references(d *params.Decoding, node *yaml.Node) []Reference {
	items := []*yaml.Node{node}
	if node.Kind == yaml.SequenceNode {
		items = node.Content
	}
	var out []Reference
	for _, item := range items {
		if item.Kind != yaml.ScalarNode {
			d.Errorf(item, `such as "features" or "features[backbone=resnet50].rejects"`, "expected the name of a stage")
			continue
		}
		ref, err := parseReference(item.Value)
		if err != nil {
			d.Errorf(item, `such as "features" or "features[backbone=resnet50].rejects"`, "%v", err)
			continue
		}
		ref.node = item
		out = append(out, ref)
	}
	return out
}

var referenceForm = regexp.MustCompile(`^([^\[\].\s]+)(?:\[([^\]]*)\])?(?:\.([A-Za-z_][A-Za-z0-9_]*))?$`)

// parseReference reads stage[axis=value,…].port.
func parseReference(text string) (Reference, error) {
	m := referenceForm.FindStringSubmatch(text)
	if m == nil {
		if stage, rest, ok := strings.Cut(text, "."); ok {
			if port, values, ok := strings.Cut(rest, "["); ok {
				if other := stage + "[" + values + "." + port; referenceForm.MatchString(other) {
					return Reference{}, fmt.Errorf("%q is no reference to a stage; did you mean %s?", text, other)
				}
			}
		}
		return Reference{}, fmt.Errorf("%q is no reference to a stage", text)
	}
	ref := Reference{Stage: m[1], Port: m[3]}
	if m[2] != "" {
		ref.Coordinates = Coordinates{}
		for _, part := range strings.Split(m[2], ",") {
			axis, value, ok := strings.Cut(part, "=")
			if !ok {
				return Reference{}, fmt.Errorf("%q: expected axis=value in the brackets", text)
			}
			ref.Coordinates[strings.TrimSpace(axis)] = strings.TrimSpace(value)
		}
	}
	return ref, nil
}

type matrix []Axis

// DecodeParam implements params.Decoder.
func (m *matrix) DecodeParam(d *params.Decoding, node *yaml.Node) {
	eachEntry(d, node, func(key, value *yaml.Node) {
		if !stageName.MatchString(key.Value) {
			d.Errorf(key, "letters, digits, - and _, a letter first", "%q cannot name an axis", key.Value)
			return
		}
		axis := Axis{Name: key.Value, key: key}
		switch value.Kind {
		case yaml.SequenceNode:
			axis.take(value, d.Errorf)
		case yaml.MappingNode:
			eachEntry(d, value, func(label, item *yaml.Node) {
				axis.Labels = append(axis.Labels, label.Value)
				axis.Values = append(axis.Values, item)
			})
		default:
			// A variable may stand for the list.
			axis.Labels, axis.Values = nil, []*yaml.Node{value}
		}
		axis.check(value, d.Errorf)
		*m = append(*m, axis)
	})
}

// report tells what is wrong at a node.
type report func(node *yaml.Node, hint, format string, args ...any)

// take adds the values of a list, which are their own labels.
func (a *Axis) take(list *yaml.Node, wrong report) {
	for _, item := range list.Content {
		if item.Kind != yaml.ScalarNode {
			wrong(item, "give such values names: {small: {…}, large: {…}}", "a list of axis values takes plain values")
			continue
		}
		a.Labels = append(a.Labels, item.Value)
		a.Values = append(a.Values, item)
	}
}

// check refuses an axis without values, and labels that cannot be told apart
// in the names of nodes.
func (a *Axis) check(at *yaml.Node, wrong report) {
	if len(a.Values) == 0 {
		wrong(at, "", "the axis has no values")
	}
	before := map[string]bool{}
	for i, label := range a.Labels {
		if strings.ContainsAny(label, "[],=") {
			wrong(a.Values[i], "give it a name: {name: value}", "%q cannot label an axis value", label)
		}
		if before[label] {
			wrong(a.Values[i], "", "%q stands twice on the axis", label)
		}
		before[label] = true
	}
}

// number reads a scalar that is a number in YAML, exactly.
func number(node *yaml.Node) (*big.Rat, bool) {
	if node.Kind != yaml.ScalarNode {
		return nil, false
	}
	switch node.ShortTag() {
	case "!!int":
		var n int64
		if node.Decode(&n) == nil { // of any base
			return new(big.Rat).SetInt64(n), true
		}
		var large uint64
		if node.Decode(&large) == nil {
			return new(big.Rat).SetUint64(large), true
		}
	case "!!float":
		if x, err := strconv.ParseFloat(strings.ReplaceAll(node.Value, "_", ""), 64); err == nil && !math.IsInf(x, 0) && !math.IsNaN(x) {
			return new(big.Rat).SetFloat64(x), true
		}
	}
	return nil, false
}

// DecodeParam implements params.Decoder.
func (l *Limit) DecodeParam(d *params.Decoding, node *yaml.Node) {
	text, isShare := strings.CutSuffix(node.Value, "%")
	if isShare {
		share, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err == nil && share > 0 && share <= 100 {
			*l = Limit{Set: true, Share: share / 100}
			return
		}
	} else if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 && node.Kind == yaml.ScalarNode {
		*l = Limit{Set: true, Count: n}
		return
	}
	d.Errorf(node, `such as 100 or "1%"`, "expected a number of rows or a share of them, found %q", node.Value)
}

// eachEntry visits a mapping's entries in order, refusing duplicates and
// anything that is not a mapping.
func eachEntry(d *params.Decoding, node *yaml.Node, visit func(key, value *yaml.Node)) {
	if node.Kind != yaml.MappingNode {
		d.Errorf(node, "", "expected a mapping")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if seen[key.Value] {
			d.Errorf(key, "", "%q is given twice", key.Value)
			continue
		}
		seen[key.Value] = true
		d.At(key.Value, func() { visit(key, value) })
	}
}

func childOr(node *yaml.Node, name string, otherwise *yaml.Node) *yaml.Node {
	if child := params.Locate(node, name); child != node {
		return child
	}
	return otherwise
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// parseYAML reads one YAML document and resolves its aliases, so that no one
// after has to. It returns nil after reporting what is wrong.
func parseYAML(r *reporter, text []byte) *yaml.Node {
	if !r.count(text) {
		return nil
	}
	var doc yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		r.place(0, 0, "`tlpipe init` writes one to start from", "the file is empty")
		return nil
	case err != nil:
		line, message := 0, err.Error()
		if m := yamlLine.FindStringSubmatch(message); m != nil {
			line, _ = strconv.Atoi(m[1])
			message = m[2]
		}
		r.invalid(line, message)
		return nil
	}
	var next yaml.Node
	if err := decoder.Decode(&next); err == nil {
		r.at(&next, "one file declares one pipeline", "a second YAML document begins here")
	}
	left := r.maxValues
	root, ok := withoutAliases(doc.Content[0], &left, 0)
	if !ok && left < 0 {
		r.at(doc.Content[0], r.raise(), "with its aliases filled in it holds more than %d values, which is the limit", r.maxValues)
		return nil
	}
	if !ok {
		r.at(doc.Content[0], "", "values lie more than %d deep in each other, or aliases go round in circles", maxDepth)
		return nil
	}
	r.withoutMerges(root)
	if root.Kind != yaml.MappingNode {
		r.at(root, "a pipeline starts with name: and stages:", "expected a mapping")
		return nil
	}
	return root
}

// colonInValue finds "key: value: more", which YAML reads as a mapping within a line.
var colonInValue = regexp.MustCompile(`^\s*(?:- )?[^\s"'#{\[][^"'#:]*:\s+[^\s"'{\[|>&*!#][^#]*?(:)(?:\s|$)`)

// invalid reports what the YAML library refused, in the words of the commonest mistakes.
func (r *reporter) invalid(line int, message string) {
	for i, text := range r.lines {
		if before := text[:len(text)-len(strings.TrimLeft(text, " \t"))]; strings.Contains(before, "\t") && (line == 0 || i+1 >= line-1 && i+1 <= line+1) {
			r.place(i+1, strings.Index(text, "\t")+1, "YAML is indented with spaces alone", "a tab indents this line")
			return
		}
	}
	if strings.Contains(message, "mapping values are not allowed") {
		for i, text := range r.lines {
			if m := colonInValue.FindStringSubmatchIndex(text); m != nil && (line == 0 || i+1 >= line-1 && i+1 <= line+1) {
				r.place(i+1, len([]rune(text[:m[2]]))+1, `put the value into quotes: name: "a: b"`, "a second colon stands in this line's value")
				return
			}
		}
	}
	r.place(line, 0, "", "not valid YAML: "+message)
}

// withoutMerges reports merge keys and leaves them out, so that what would follow from them is not told as well.
func (r *reporter) withoutMerges(node *yaml.Node) {
	for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); {
		if key := node.Content[i]; key.Value == "<<" && key.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) == 0 {
			r.at(key, "write the keys out, or put the value under vars: and use it as $(name)", "merge keys (<<) are not supported")
			node.Content = slices.Delete(node.Content, i, i+2)
			continue
		}
		i += 2
	}
	for _, child := range node.Content {
		r.withoutMerges(child)
	}
}

// maxDepth is how deep values may lie in each other.
const maxDepth = 200

// withoutAliases copies a node with every alias replaced by what it stands
// for. It gives up when the copy becomes larger than any pipeline.
func withoutAliases(node *yaml.Node, budget *int, depth int) (*yaml.Node, bool) {
	if *budget--; *budget < 0 || depth > maxDepth {
		return nil, false
	}
	if node.Kind == yaml.AliasNode {
		target, ok := withoutAliases(node.Alias, budget, depth+1)
		if !ok {
			return nil, false
		}
		target.Line, target.Column = node.Line, node.Column
		return target, true
	}
	c := *node
	c.Anchor = ""
	c.Content = make([]*yaml.Node, len(node.Content))
	for i, child := range node.Content {
		resolved, ok := withoutAliases(child, budget, depth+1)
		if !ok {
			return nil, false
		}
		c.Content[i] = resolved
	}
	return &c, true
}
