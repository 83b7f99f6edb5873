package classifier

import (
	"maps"
	"testing"

	"github.com/tlpipe/tlpipe/internal/budget/budgettest"
	"github.com/tlpipe/tlpipe/internal/record"
)

// Whatever the metadata of a model says, it is refused or gives a classifier that can be stored again.
func FuzzMetadata(f *testing.F) {
	m, err := example(f).Model()
	if err != nil {
		f.Fatal(err)
	}
	described, err := m.Description.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(m.Architecture), described, `["cat","dog"]`, "")
	f.Add(string(m.Architecture), "", `["cat","dog"]`, record.Extraction{Backbone: "resnet50"}.Encode())
	f.Add(`{"layers":[{"name":"x","op":"input","with":{"shape":[3]}}]}`, `{"version":2,"inputs":[{"name":"x","shape":[3]}]}`, `null`, `{}`)
	f.Add(`{"layers":[]}`, `{"version":2}`, `[`, `[]`)
	tensors := m.Tensors
	f.Fuzz(func(t *testing.T, architecture, description, classes, extraction string) {
		metadata := map[string]string{record.ArchitectureKey: architecture, record.ClassesKey: classes}
		if description != "" {
			metadata[record.DescriptionKey] = description
		}
		if extraction != "" {
			metadata[record.ExtractionKey] = extraction
		}
		before := maps.Clone(metadata)
		m, err := record.ModelOf(metadata)
		if err != nil {
			return
		}
		m.Tensors = tensors
		var c *Classifier
		budgettest.Within(t, len(architecture)+len(description)+len(classes)+len(extraction), func() { c, err = Parse(m) })
		if !maps.Equal(metadata, before) {
			t.Fatal("reading a model changed its metadata")
		}
		if err != nil {
			return
		}
		if _, err := c.Model(); err != nil {
			t.Errorf("a classifier that was read cannot be stored: %v", err)
		}
		_, _ = c.Head().Names(), c.Input().Transforms.Unknown()
	})
}
