package params

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Decoder is implemented, on the pointer, by parameter types that YAML may
// spell in more than one way.
type Decoder interface {
	// DecodeParam reads node into the receiver, reporting what is wrong to d.
	DecodeParam(d *Decoding, node *yaml.Node)
}

// Decode reads a YAML mapping into target, a pointer to a struct that already
// holds the defaults. It returns everything that is wrong at once, in the
// order of the document. A nil or null node leaves the defaults.
func Decode(node *yaml.Node, target any) []*Error {
	d := &Decoding{}
	d.value(node, reflect.ValueOf(target).Elem(), rules{})
	slices.SortStableFunc(d.errors, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return d.errors
}

// Decoding is a decode in progress: where it is and what went wrong so far.
type Decoding struct {
	path   []string
	errors []*Error
}

// Into reads node into target (a pointer), at the same path.
func (d *Decoding) Into(node *yaml.Node, target any) {
	d.value(node, reflect.ValueOf(target).Elem(), rules{})
}

// At runs f with step appended to the path: a key, or "[2]".
func (d *Decoding) At(step string, f func()) {
	d.path = append(d.path, step)
	f()
	d.path = d.path[:len(d.path)-1]
}

// Errors is how many errors have been reported so far.
func (d *Decoding) Errors() int { return len(d.errors) }

// mostErrors is how many errors are told; a file of a million mistakes is no pipeline.
const mostErrors = 1000

// Errorf reports an error at node. hint may be empty.
func (d *Decoding) Errorf(node *yaml.Node, hint, format string, args ...any) {
	if len(d.errors) >= mostErrors {
		return
	}
	e := &Error{Path: joinPath(d.path), Message: fmt.Sprintf(format, args...), Hint: hint}
	if node != nil {
		e.Line, e.Column = node.Line, node.Column
	}
	d.errors = append(d.errors, e)
}

// rules are the constraints of a field's tags.
type rules struct {
	enum            []string
	min, max, above *float64
}

func (d *Decoding) value(node *yaml.Node, v reflect.Value, r rules) {
	for node != nil && node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if node == nil || node.Kind == 0 {
		return
	}
	if node.Kind == yaml.DocumentNode {
		d.value(node.Content[0], v, r)
		return
	}
	if v.Kind() == reflect.Pointer {
		if isNull(node) {
			v.SetZero()
			return
		}
		fresh := reflect.New(v.Type().Elem())
		if !v.IsNil() {
			fresh.Elem().Set(v.Elem()) // the default itself stays as it is
		}
		v.Set(fresh)
		d.value(node, v.Elem(), r)
		return
	}
	if own, ok := v.Addr().Interface().(Decoder); ok {
		own.DecodeParam(d, node)
		return
	}
	if isNull(node) && v.Kind() != reflect.Struct {
		d.Errorf(node, "", "a value is missing")
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(node, v)
	case reflect.Slice:
		d.slice(node, v, r)
	case reflect.Map:
		d.mapping(node, v, r)
	default:
		d.scalar(node, v, r)
	}
}

func (d *Decoding) structure(node *yaml.Node, v reflect.Value) {
	fields := Fields(v.Type())
	known := make([]string, len(fields))
	for i, f := range fields {
		known[i] = f.Name
	}
	given := map[string]bool{}
	if !isNull(node) {
		if node.Kind != yaml.MappingNode {
			d.Errorf(node, "keys: "+list(known), "expected a mapping, found %s", describe(node))
			return
		}
		for i := 0; i+1 < len(node.Content); i += 2 {
			key, value := node.Content[i], node.Content[i+1]
			at := slices.IndexFunc(fields, func(f Field) bool { return f.Name == key.Value })
			switch {
			case at < 0 && len(d.errors) >= mostErrors: // looking for a hint takes time
			case at < 0:
				d.Errorf(key, d.hint(v, key.Value, known), "unknown key %s", quote(key.Value))
			case given[key.Value]:
				d.Errorf(key, "", "key %s is given twice", quote(key.Value))
			default:
				given[key.Value] = true
				d.At(key.Value, func() { d.value(value, v.FieldByIndex(fields[at].index), fields[at].rules) })
			}
		}
	}
	for _, f := range fields {
		if f.Required && !given[f.Name] {
			d.Errorf(node, f.Doc, "key %s is required", quote(f.Name))
		}
	}
}

// Hinter is implemented, on the pointer, by structs that know better what an unknown key meant.
type Hinter interface {
	// HintForKey returns a hint, "" if there is none of its own.
	HintForKey(key string) string
}

func (d *Decoding) hint(v reflect.Value, key string, known []string) string {
	if own, ok := v.Addr().Interface().(Hinter); ok {
		if hint := own.HintForKey(key); hint != "" {
			return hint
		}
	}
	return HintForKey(key, known)
}

func (d *Decoding) slice(node *yaml.Node, v reflect.Value, r rules) {
	items := []*yaml.Node{node} // one item may stand without brackets
	if node.Kind == yaml.SequenceNode {
		items = node.Content
	}
	out := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		d.At(fmt.Sprintf("[%d]", i), func() { d.value(item, out.Index(i), r) })
	}
	v.Set(out)
}

func (d *Decoding) mapping(node *yaml.Node, v reflect.Value, r rules) {
	if node.Kind != yaml.MappingNode {
		d.Errorf(node, "", "expected a mapping, found %s", describe(node))
		return
	}
	out := reflect.MakeMap(v.Type())
	given := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, item := node.Content[i], reflect.New(v.Type().Elem()).Elem()
		if given[key.Value] {
			d.Errorf(key, "", "key %s is given twice", quote(key.Value))
			continue
		}
		given[key.Value] = true
		d.At(key.Value, func() { d.value(node.Content[i+1], item, r) })
		out.SetMapIndex(reflect.ValueOf(key.Value).Convert(v.Type().Key()), item)
	}
	v.Set(out)
}

func (d *Decoding) scalar(node *yaml.Node, v reflect.Value, r rules) {
	want := typeName(v.Type())
	if node.Kind != yaml.ScalarNode {
		d.Errorf(node, "", "expected %s, found %s", want, describe(node))
		return
	}
	mismatch := func() { d.Errorf(node, "", "expected %s, found %s", want, quote(node.Value)) }
	if v.Type() == reflect.TypeFor[time.Duration]() {
		duration, err := time.ParseDuration(node.Value)
		if err != nil {
			d.Errorf(node, `such as "90s" or "2h"`, "expected a duration, found %s", quote(node.Value))
			return
		}
		v.SetInt(int64(duration))
		return
	}
	switch v.Kind() {
	case reflect.String:
		if len(r.enum) > 0 && !slices.Contains(r.enum, node.Value) {
			d.Errorf(node, DidYouMean(node.Value, r.enum), "%s is not one of %s", quote(node.Value), list(r.enum))
			return
		}
		v.SetString(node.Value)
	case reflect.Bool:
		if node.Tag != "!!bool" {
			mismatch()
			return
		}
		v.SetBool(node.Value[0] == 't' || node.Value[0] == 'T')
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(strings.ReplaceAll(node.Value, "_", ""), 10, v.Type().Bits())
		if err != nil {
			mismatch()
			return
		}
		if d.inRange(node, float64(n), r) {
			v.SetInt(n)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(strings.ReplaceAll(node.Value, "_", ""), 10, v.Type().Bits())
		if err != nil {
			mismatch()
			return
		}
		if d.inRange(node, float64(n), r) {
			v.SetUint(n)
		}
	case reflect.Float32, reflect.Float64:
		var f float64
		if err := node.Decode(&f); err != nil || (node.Tag != "!!float" && node.Tag != "!!int") {
			mismatch()
			return
		}
		if math.IsNaN(f) || math.IsInf(f, 0) {
			d.Errorf(node, "", "expected a finite number, found %s", quote(node.Value))
			return
		}
		if d.inRange(node, f, r) {
			v.SetFloat(f)
		}
	default:
		panic("params: unsupported parameter type " + v.Type().String())
	}
}

func (d *Decoding) inRange(node *yaml.Node, x float64, r rules) bool {
	switch {
	case r.above != nil && x <= *r.above:
		d.Errorf(node, "", "%s must be above %v", node.Value, *r.above)
	case r.min != nil && x < *r.min:
		d.Errorf(node, "", "%s is below the smallest allowed value, %v", node.Value, *r.min)
	case r.max != nil && x > *r.max:
		d.Errorf(node, "", "%s is above the largest allowed value, %v", node.Value, *r.max)
	default:
		return true
	}
	return false
}

func isNull(node *yaml.Node) bool { return node.Kind == yaml.ScalarNode && node.Tag == "!!null" }
