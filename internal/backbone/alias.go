package backbone

import (
	"slices"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Alias is another name of a backbone, as a framework writes it. One that names weights as well, such as timm's
// resnet50.a1_in1k, means that weight set.
type Alias struct {
	Name string `json:"name"`
	Set  string `json:"weights,omitempty"` // "" for the backbone alone
}

// Aliases lists the names that the frameworks have for the backbone and its weight sets.
func (b Backbone) Aliases() []Alias {
	var out []Alias
	add := func(name, set string) {
		if a := (Alias{name, set}); name != b.Name && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	for _, set := range b.Weights {
		switch framework, model, _ := strings.Cut(set.Provenance, ", "); framework {
		case "keras.applications":
			model, _, _ = strings.Cut(model, ", ")
			add(model, "")
		case "torchvision":
			add(model, set.Name) // ResNet50_Weights.IMAGENET1K_V2
		case "timm":
			architecture, _, tagged := strings.Cut(model, ".")
			if strings.HasPrefix(architecture, "tf_") || strings.HasPrefix(architecture, "deit_") {
				add(architecture, set.Name) // another variant, or another training
			} else {
				add(architecture, "")
			}
			if tagged {
				add(model, set.Name)
			}
		}
	}
	return out
}

// spelling is the same for names that differ by case and by punctuation alone: MobileNetV2, mobilenet_v2.
func spelling(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

// withoutHub leaves out where a name is from: hf_hub:timm/resnet50.a1_in1k.
func withoutHub(name string) string {
	for _, hub := range []string{"hf_hub:", "hf-hub:", "timm/"} {
		name = strings.TrimPrefix(name, hub)
	}
	return name
}

// byAlias finds the backbone that a name is an alias of; with what is said of weights, if the name says something.
func byAlias(name string) (b Backbone, set string, ok bool) {
	spelled := spelling(withoutHub(name))
	for _, b := range All() {
		if spelling(b.Name) == spelled {
			return b, "", true
		}
		for _, a := range b.Aliases() {
			if spelling(a.Name) == spelled {
				return b, a.Set, true
			}
		}
	}
	return Backbone{}, "", false
}

// Name is a backbone's name as parameters take it. An alias of the backbone alone is read as its name, so that recipes do not
// depend on the spelling. It may also spell a network out, layer by layer: {layers: [{conv: 16, kernel: 3}, relu, …]}, or by
// the words [TutorialTeacher] and [TutorialStudent]; or name the folder of a text encoder, by a path or by {encoder: models/bert, pooling: cls}.
type Name string

// DecodeParam implements params.Decoder.
func (n *Name) DecodeParam(d *params.Decoding, node *yaml.Node) {
	switch encoder := NamesTextEncoder(node); {
	case node.Kind == yaml.MappingNode && encoder:
		*n = decodeTextEncoder(d, node)
		return
	case node.Kind == yaml.MappingNode:
		*n = decodeSpelled(d, node)
		return
	case encoder:
		*n = TextEncoder{Folder: node.Value}.name()
		return
	}
	var name string
	d.Into(node, &name)
	if strings.HasPrefix(name, "{") {
		d.Errorf(node, "write a network that is spelled out as a mapping, without quotes", "%q is no name", name)
		return
	}
	if b, set, ok := byAlias(name); ok && set == "" {
		name = b.Name
	}
	*n = Name(name)
}

// ParamSchema implements params.Schemer.
func (Name) ParamSchema(map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{map[string]any{"type": "string"}, params.JSONSchema(spelledNetwork{}), params.JSONSchema(TextEncoder{})}}
}
