package params

import (
	"reflect"
	"time"
)

// Schemer is implemented by parameter types whose YAML spelling their Go type
// does not tell.
type Schemer interface {
	// ParamSchema returns the JSON Schema of the type's spellings. inner is
	// the schema of the Go type itself.
	ParamSchema(inner map[string]any) map[string]any
}

// JSONSchema returns the JSON Schema (draft 2020-12) of parameters, with the
// values in p as defaults.
func JSONSchema(p any) map[string]any {
	return schemaOf(reflect.ValueOf(p))
}

func schemaOf(v reflect.Value) map[string]any {
	t := v.Type()
	inner := plainSchema(v)
	pointer := reflect.New(t)
	if s, ok := pointer.Interface().(Schemer); ok {
		return s.ParamSchema(inner)
	}
	return inner
}

func plainSchema(v reflect.Value) map[string]any {
	t := v.Type()
	if t == reflect.TypeFor[time.Duration]() {
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return schemaOf(reflect.Zero(t.Elem()))
		}
		return schemaOf(v.Elem())
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Float32, reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Slice:
		item := schemaOf(reflect.Zero(t.Elem()))
		return map[string]any{"anyOf": []any{item, map[string]any{"type": "array", "items": item}}}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(reflect.Zero(t.Elem()))}
	case reflect.Struct:
		return structSchema(v)
	default:
		return map[string]any{"type": "integer"}
	}
}

func structSchema(v reflect.Value) map[string]any {
	properties, required := map[string]any{}, []string{}
	for _, f := range Fields(v.Type()) {
		fv := v.FieldByIndex(f.index)
		s := schemaOf(fv)
		if f.Doc != "" {
			s["description"] = f.Doc
		}
		f.rules.constrain(s, f.Type)
		if !f.Secret && !fv.IsZero() && (fv.Kind() < reflect.Array || fv.Kind() == reflect.String) {
			s["default"] = fv.Interface()
		}
		if f.Secret {
			s["writeOnly"] = true
		}
		if f.Required {
			required = append(required, f.Name)
		}
		properties[f.Name] = s
	}
	out := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

// constrain adds what the tags of a field of type t allow; those of a list are
// about its items, and a list may be spelled as one item.
func (r rules) constrain(s map[string]any, t reflect.Type) {
	if t.Kind() == reflect.Slice {
		if spellings, ok := s["anyOf"].([]any); ok && len(spellings) == 2 {
			if item, ok := spellings[0].(map[string]any); ok {
				r.constrain(item, t.Elem()) // the list's items are the same map
			}
		}
		return
	}
	if r.enum != nil {
		s["enum"] = r.enum
	}
	if r.min != nil {
		s["minimum"] = *r.min
	}
	if r.max != nil {
		s["maximum"] = *r.max
	}
	if r.above != nil {
		s["exclusiveMinimum"] = *r.above
	}
}
