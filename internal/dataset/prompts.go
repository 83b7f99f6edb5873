package dataset

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/tlpipe/tlpipe/internal/record"
	"github.com/tlpipe/tlpipe/pipeline"
)

// Prompts are sentences about classes, for zero-shot classification: each class's words in each template. The label of a row is the
// class.
type Prompts struct {
	Classes   []Prompted
	Templates []string // each with {} in the place of the words
}

// Prompted is a class and what it is called in a sentence.
type Prompted struct{ Class, Words string }

//go:embed imagenet_templates.txt
var imageNetTemplates string

// ImageNetTemplates are the 80 templates that CLIP was measured with on ImageNet (Radford et al. 2021).
func ImageNetTemplates() []string { return strings.Split(strings.TrimSpace(imageNetTemplates), "\n") }

// TemplateColumn is the further column with the template.
const TemplateColumn = "template"

func (p Prompts) texts() (texts []string) {
	for _, c := range p.Classes {
		for _, t := range p.Templates {
			texts = append(texts, strings.ReplaceAll(t, "{}", c.Words))
		}
	}
	return texts
}

// List implements Source. All rows are of split train: nothing is measured on them.
func (p Prompts) List(context.Context, pipeline.Files) (Rows, error) {
	rows := Rows{Extra: []string{TemplateColumn}}
	for i, text := range p.texts() {
		class, template := p.Classes[i/len(p.Templates)].Class, p.Templates[i%len(p.Templates)]
		sum := sha256.Sum256([]byte(text))
		rows.All = append(rows.All, Row{
			ID: class + "/" + template, Digest: hex.EncodeToString(sum[:]), Label: class, Split: record.Train, Extra: []string{template},
			At: Location{Path: class + "/" + template, Offset: int64(i), Size: int64(len(text))},
		})
	}
	return rows, nil
}

// Open implements Source.
func (p Prompts) Open() (Reader, error) { return promptReader(p.texts()), nil }

type promptReader []string

func (r promptReader) Read(_ context.Context, at Location) ([]byte, error) {
	if at.Offset < 0 || at.Offset >= int64(len(r)) {
		return nil, fmt.Errorf("there is no prompt %s", at.Path)
	}
	return []byte(r[at.Offset]), nil
}

func (promptReader) Close() error { return nil }
