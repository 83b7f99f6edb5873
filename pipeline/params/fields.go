package params

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// Field is one declared parameter of a struct.
type Field struct {
	Name     string // the key in YAML
	Doc      string
	Type     reflect.Type
	Required bool
	InRecipe bool // it enters cache keys
	Secret   bool // it is not shown, and not in cache keys

	index []int
	rules rules
}

// Enum lists the allowed words, nil for any.
func (f Field) Enum() []string { return f.rules.enum }

// Bounds describes the allowed range of a number, "" for any.
func (f Field) Bounds() string {
	var parts []string
	if f.rules.above != nil {
		parts = append(parts, fmt.Sprintf("> %v", *f.rules.above))
	}
	if f.rules.min != nil {
		parts = append(parts, fmt.Sprintf("≥ %v", *f.rules.min))
	}
	if f.rules.max != nil {
		parts = append(parts, fmt.Sprintf("≤ %v", *f.rules.max))
	}
	return strings.Join(parts, ", ")
}

// Fields lists the parameters of a struct type, in order. Embedded structs
// without a yaml tag are inlined. It panics on a malformed tag: that is a
// mistake in the program.
func Fields(t reflect.Type) []Field {
	var out []Field
	for i := range t.NumField() {
		sf := t.Field(i)
		name, _, _ := strings.Cut(sf.Tag.Get("yaml"), ",")
		if sf.Anonymous && name == "" {
			for _, f := range Fields(sf.Type) {
				f.index = append([]int{i}, f.index...)
				out = append(out, f)
			}
			continue
		}
		if !sf.IsExported() || name == "-" || name == "" {
			continue
		}
		f := Field{
			Name: name, Doc: sf.Tag.Get("doc"), Type: sf.Type, index: []int{i},
			Required: sf.Tag.Get("required") == "true", InRecipe: sf.Tag.Get("recipe") != "-",
			Secret: sf.Tag.Get("secret") == "true",
		}
		f.InRecipe = f.InRecipe && !f.Secret
		if words := sf.Tag.Get("enum"); words != "" {
			f.rules.enum = strings.Split(words, ",")
		}
		f.rules.min, f.rules.max, f.rules.above = bound(sf, "min"), bound(sf, "max"), bound(sf, "above")
		out = append(out, f)
	}
	return out
}

func bound(sf reflect.StructField, tag string) *float64 {
	text := sf.Tag.Get(tag)
	if text == "" {
		return nil
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(fmt.Sprintf("params: field %s: tag %s:%q is no number", sf.Name, tag, text))
	}
	return &x
}

func typeName(t reflect.Type) string {
	if t == reflect.TypeFor[time.Duration]() {
		return "a duration"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number, 0 or more"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.String:
		return "a text"
	case reflect.Slice:
		return "a list"
	case reflect.Pointer:
		return typeName(t.Elem())
	default:
		return "a mapping"
	}
}

func describe(node *yaml.Node) string {
	switch {
	case node.Kind == yaml.MappingNode:
		return "a mapping"
	case node.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(node):
		return "nothing"
	default:
		return quote(node.Value)
	}
}

func quote(s string) string { return strconv.Quote(s) }

func list(words []string) string { return strings.Join(words, ", ") }

func joinPath(steps []string) string {
	var b strings.Builder
	for i, s := range steps {
		if i > 0 && !strings.HasPrefix(s, "[") {
			b.WriteByte('.')
		}
		b.WriteString(s)
	}
	return b.String()
}

func splitPath(path string) []string {
	var steps []string
	for _, part := range strings.Split(path, ".") {
		for {
			at := strings.IndexByte(part, '[')
			if at < 0 {
				break
			}
			if at > 0 {
				steps = append(steps, part[:at])
			}
			end := strings.IndexByte(part[at:], ']')
			if end < 0 {
				break
			}
			steps = append(steps, part[at:at+end+1])
			part = part[at+end+1:]
		}
		if part != "" {
			steps = append(steps, part)
		}
	}
	return steps
}

func childOf(node *yaml.Node, step string) *yaml.Node {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == step {
				return node.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		i, err := strconv.Atoi(strings.Trim(step, "[]"))
		if err == nil && i >= 0 && i < len(node.Content) {
			return node.Content[i]
		}
	}
	return nil
}
