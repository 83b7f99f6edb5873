package preprocess

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/dataset"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Prompts are sentences about classes, as YAML spells them.
type Prompts struct {
	Classes   PromptClasses   `yaml:"classes" recipe:"-" required:"true" doc:"the classes: a list of names, or a mapping from names to what they are called in a sentence, such as {n02099601: golden retriever}"`
	Templates PromptTemplates `yaml:"templates" recipe:"-" doc:"sentences with {} in the place of the class; one, a list, or imagenet, the 80 that CLIP was measured with; if not given, 'a photo of a {}.'"`
}

// PromptClasses are the classes in their order.
type PromptClasses []dataset.Prompted

// DecodeParam implements params.Decoder.
func (c *PromptClasses) DecodeParam(d *params.Decoding, node *yaml.Node) {
	*c = nil
	add := func(at *yaml.Node, class, words string) {
		switch {
		case strings.TrimSpace(class) == "" || strings.TrimSpace(words) == "":
			d.Errorf(at, "", "a class has no name")
		case slices.ContainsFunc(*c, func(p dataset.Prompted) bool { return p.Class == class }):
			d.Errorf(at, "", "class %q is listed twice", class)
		}
		*c = append(*c, dataset.Prompted{Class: class, Words: words})
	}
	switch node.Kind {
	case yaml.SequenceNode:
		for _, item := range node.Content {
			if item.Kind != yaml.ScalarNode {
				d.Errorf(item, "", "expected the name of a class")
				continue
			}
			add(item, item.Value, strings.ReplaceAll(item.Value, "_", " "))
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			add(node.Content[i], node.Content[i].Value, node.Content[i+1].Value)
		}
	default:
		d.Errorf(node, "such as [cat, dog]", "expected a list of classes")
		return
	}
	if len(*c) < 2 {
		d.Errorf(node, "such as [cat, dog]", "there are %d classes: at least two are needed", len(*c))
	}
}

// ParamSchema implements params.Schemer.
func (PromptClasses) ParamSchema(map[string]any) map[string]any {
	text := map[string]any{"type": "string"}
	return map[string]any{"anyOf": []any{map[string]any{"type": "array", "items": text, "minItems": 2}, map[string]any{"type": "object", "additionalProperties": text, "minProperties": 2}}}
}

// PromptTemplates are sentences.
type PromptTemplates []string

const (
	imageNetTemplates = "imagenet"
	placeOfClass      = "{}"
	plainTemplate     = "a photo of a {}."
)

// DecodeParam implements params.Decoder.
func (t *PromptTemplates) DecodeParam(d *params.Decoding, node *yaml.Node) {
	if node.Kind == yaml.ScalarNode && node.Value == imageNetTemplates {
		*t = dataset.ImageNetTemplates()
		return
	}
	var list []string
	d.Into(node, &list)
	for i, template := range list {
		switch {
		case !strings.Contains(template, placeOfClass):
			d.Errorf(node, "such as 'a photo of a {}.', or imagenet", "template %q has no {} in the place of the class", template)
		case slices.Contains(list[:i], template):
			d.Errorf(node, "", "template %q is listed twice", template)
		}
	}
	*t = list
}

// ParamSchema implements params.Schemer.
func (PromptTemplates) ParamSchema(map[string]any) map[string]any {
	text := map[string]any{"type": "string"}
	return map[string]any{"anyOf": []any{text, map[string]any{"type": "array", "items": text}}}
}

// source is where the sentences come from.
func (p *Prompts) source() dataset.Source {
	templates := p.Templates
	if len(templates) == 0 {
		templates = []string{plainTemplate}
	}
	return dataset.Prompts{Classes: p.Classes, Templates: templates}
}

// String names them for people.
func (p *Prompts) String() string { return fmt.Sprintf("prompts of %d classes", len(p.Classes)) }
