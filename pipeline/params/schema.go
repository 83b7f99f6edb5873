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
		if f.rules.enum != nil {
			s["enum"] = f.rules.enum
		}
		if f.rules.min != nil {
			s["minimum"] = *f.rules.min
		}
		if f.rules.max != nil {
			s["maximum"] = *f.rules.max
		}
		if f.rules.above != nil {
			s["exclusiveMinimum"] = *f.rules.above
		}
		if !fv.IsZero() && (fv.Kind() < reflect.Array || fv.Kind() == reflect.String) {
			s["default"] = fv.Interface()
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
