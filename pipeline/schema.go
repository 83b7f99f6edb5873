package pipeline

import (
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// JSONSchema returns the JSON Schema (draft 2020-12) of a pipeline's YAML, with
// the parameters of the given kinds, for editors. Wherever a value stands, a
// variable may stand: $(name).
func JSONSchema(kinds []Kind) map[string]any {
	doc := params.JSONSchema(document{})
	doc["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	doc["title"] = "tlpipe pipeline"
	doc["$defs"] = map[string]any{"variable": map[string]any{
		"type": "string", "pattern": `^\$\([^()]*\)$`, "description": "a variable: $(name)",
	}}
	properties := doc["properties"].(map[string]any)
	properties["stages"] = map[string]any{
		"type":                 "object",
		"description":          "the stages, by name",
		"propertyNames":        map[string]any{"pattern": stageName.String()},
		"minProperties":        1,
		"additionalProperties": stageSchema(kinds),
	}
	return doc
}

// stageSchema is the schema of one stage: what `with` may hold depends on what
// it uses.
func stageSchema(kinds []Kind) map[string]any {
	body := params.JSONSchema(stageBody{})
	properties := body["properties"].(map[string]any)
	var names []string
	var choices []any
	for _, k := range kinds {
		names = append(names, k.Name)
		with := orVariable(separate(params.JSONSchema(k.Params)).(map[string]any))
		if k.Doc != "" {
			with["description"] = k.Doc
		}
		choices = append(choices, map[string]any{
			"if":   map[string]any{"properties": map[string]any{"uses": map[string]any{"const": k.Name}}, "required": []string{"uses"}},
			"then": map[string]any{"properties": map[string]any{"with": with}},
		})
	}
	properties["uses"].(map[string]any)["enum"] = names
	if len(choices) > 0 {
		body["allOf"] = choices
	}
	return body
}

// separate copies a schema, so that no part of it stands in two places.
func separate(schema any) any {
	switch schema := schema.(type) {
	case map[string]any:
		out := make(map[string]any, len(schema))
		for key, value := range schema {
			out[key] = separate(value)
		}
		return out
	case []any:
		out := make([]any, len(schema))
		for i, value := range schema {
			out[i] = separate(value)
		}
		return out
	}
	return schema
}

// orVariables lets a variable stand for every value within a schema.
func orVariables(schema map[string]any) map[string]any {
	for _, key := range []string{"properties", "items", "additionalProperties", "anyOf"} {
		switch inner := schema[key].(type) {
		case map[string]any:
			if key != "properties" {
				schema[key] = orVariable(inner)
				continue
			}
			for name, property := range inner {
				if property, ok := property.(map[string]any); ok {
					inner[name] = orVariable(property)
				}
			}
		case []any:
			for _, choice := range inner {
				if choice, ok := choice.(map[string]any); ok {
					orVariables(choice)
				}
			}
		}
	}
	return schema
}

// orVariable is a schema or a variable. What editors show stays on top.
func orVariable(schema map[string]any) map[string]any {
	either := map[string]any{"anyOf": []any{orVariables(schema), map[string]any{"$ref": "#/$defs/variable"}}}
	for _, key := range []string{"description", "default"} {
		if value, there := schema[key]; there {
			either[key] = value
			delete(schema, key)
		}
	}
	return either
}

// ParamSchema implements params.Schemer.
func (*variables) ParamSchema(map[string]any) map[string]any { return map[string]any{"type": "object"} }

// ParamSchema implements params.Schemer.
func (*stageList) ParamSchema(map[string]any) map[string]any { return map[string]any{"type": "object"} }

// ParamSchema implements params.Schemer.
func (*rawNode) ParamSchema(map[string]any) map[string]any { return map[string]any{} }

// ParamSchema implements params.Schemer.
func (*connections) ParamSchema(map[string]any) map[string]any {
	reference := map[string]any{"type": "string", "pattern": referenceForm.String()}
	some := map[string]any{"anyOf": []any{reference, map[string]any{"type": "array", "items": reference}}}
	return map[string]any{"anyOf": []any{
		reference, map[string]any{"type": "array", "items": reference},
		map[string]any{"type": "object", "additionalProperties": some},
	}}
}

// ParamSchema implements params.Schemer.
func (*matrix) ParamSchema(map[string]any) map[string]any {
	return map[string]any{
		"type":                 "object",
		"propertyNames":        map[string]any{"pattern": stageName.String()},
		"additionalProperties": map[string]any{"type": []string{"array", "object", "string"}},
	}
}

// ParamSchema implements params.Schemer.
func (*Limit) ParamSchema(map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"type": "integer", "minimum": 0},
		map[string]any{"type": "string", "pattern": `^[0-9.]+ *%$`},
	}}
}
