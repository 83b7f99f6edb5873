package registry

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tlpipe/tlpipe/internal/record"
)

// Card writes a model card (Mitchell et al., Model Cards for Model Reporting, 2019) in Markdown, with the front matter that Hugging
// Face's hub reads. It has facts alone: whoever publishes it adds what the model is for, and for what it is not.
func Card(f Facts) (string, error) {
	front, err := yaml.Marshal(frontMatter(f))
	if err != nil {
		return "", fmt.Errorf("write the card of %s: %w", f.Name, err)
	}
	c := &card{facts: f}
	c.b.WriteString("---\n")
	c.b.Write(front)
	c.b.WriteString("---\n")
	c.line("# %s, version %d", text(f.Name), f.Number)
	c.model()
	c.weights()
	c.data()
	c.metrics()
	c.limits()
	c.recipe()
	return c.b.String(), nil
}

type card struct {
	facts Facts
	b     strings.Builder
}

func (c *card) line(format string, args ...any) { fmt.Fprintf(&c.b, "\n"+format+"\n", args...) }

// table writes a table; the first row is its head.
func (c *card) table(rows [][]string) {
	c.b.WriteByte('\n')
	for i, row := range rows {
		for _, cell := range row {
			c.b.WriteString("| " + text(cell) + " ")
		}
		c.b.WriteString("|\n")
		if i == 0 {
			c.b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
}

// text keeps names from being taken for markup.
func text(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ", "<", "&lt;", "`", "'", "*", `\*`, "_", `\_`, "[", `\[`).Replace(s)
}

// Front matter, as https://huggingface.co/docs/hub/model-cards has it.
type (
	front struct {
		Library string   `yaml:"library_name"`
		Task    string   `yaml:"pipeline_tag,omitempty"`
		Licence string   `yaml:"license,omitempty"`
		Name    string   `yaml:"license_name,omitempty"`
		Tags    []string `yaml:"tags"`
		Index   []index  `yaml:"model-index,omitempty"`
	}
	index struct {
		Name    string   `yaml:"name"`
		Results []result `yaml:"results"`
	}
	result struct {
		Task    typed        `yaml:"task"`
		Data    dataset      `yaml:"dataset"`
		Metrics []cardMetric `yaml:"metrics"`
	}
	typed struct {
		Type string `yaml:"type"`
	}
	dataset struct {
		Name  string `yaml:"name"`
		Type  string `yaml:"type"`
		Split string `yaml:"split,omitempty"`
	}
	cardMetric struct {
		Type  string  `yaml:"type"`
		Value float64 `yaml:"value"`
	}
)

func frontMatter(f Facts) front {
	out := front{Library: "tlpipe", Tags: []string{"transfer-learning"}}
	for i, h := range f.Description.Heads { // the hub knows one task
		if tag := hubTask(h); i == 0 || tag == out.Task {
			out.Task = tag
		} else {
			out.Task = ""
			break
		}
	}
	// The hub knows one licence. Weights of several, or of one that is not known, are none of those.
	switch licences, known := f.Licence(); {
	case known && len(licences) == 1:
		out.Licence = strings.ToLower(licences[0])
	case len(licences) > 0 || !known:
		out.Licence, out.Name = "other", cmp.Or(strings.Join(licences, " and "), "not known")
		if !known && len(licences) > 0 {
			out.Name += " and others that are not known"
		}
	}
	for _, m := range f.Measured {
		task := out.Task
		for _, h := range f.Description.Heads {
			if h.Name == m.Task {
				task = hubTask(h)
			}
		}
		r := result{Task: typed{cmp.Or(task, "other")}, Data: dataset{Name: cmp.Or(f.Pipeline, "unnamed"), Type: cmp.Or(f.Pipeline, "unnamed"), Split: m.Split}}
		for _, x := range m.Headline() {
			r.Metrics = append(r.Metrics, cardMetric{x.Name, x.Value})
		}
		if len(r.Metrics) > 0 {
			if len(out.Index) == 0 {
				out.Index = []index{{Name: f.Name}}
			}
			out.Index[0].Results = append(out.Index[0].Results, r)
		}
	}
	return out
}

// hubTask is the hub's name for what a head tells; "" if it has none.
func hubTask(h record.Head) string {
	switch h.Task {
	case record.SingleLabel, record.MultiLabel:
		return "image-classification"
	}
	return ""
}

func (c *card) model() {
	f := c.facts
	c.line("## Model")
	rows := [][]string{{"", ""}}
	for _, in := range f.Description.Inputs {
		rows = append(rows, []string{"takes", fmt.Sprintf("%s of shape %v", in.Name, in.Shape)})
		for i, step := range in.Transforms {
			rows = append(rows, []string{fmt.Sprintf("step %d", i+1), fmt.Sprint(step)})
		}
	}
	for _, h := range f.Description.Heads {
		rows = append(rows, []string{"tells", fmt.Sprintf("%s (%s): %s", h.Name, strings.ReplaceAll(string(h.Task), "_", " "), some(h.Names(), 20))})
	}
	rows = append(rows, []string{"parameters", count(f.Parameters)}, []string{"file", fmt.Sprintf("%s, %d bytes, SHA-256 %s", f.File, f.Bytes, f.SHA256)})
	if s := f.Description.Selection; s != nil && s.By != "" {
		rows = append(rows, []string{"weights chosen by", fmt.Sprintf("%s, of epoch %d; learned from %d rows", strings.ReplaceAll(s.By, "_", " "), s.Epoch, s.Trained)})
	}
	c.table(rows)
}

func some(names []string, most int) string {
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	return strings.Join(names, ", ")
}

func (c *card) weights() {
	if len(c.facts.Description.Origins) == 0 {
		return
	}
	c.line("## Weights that it was made from")
	rows := [][]string{{"use", "backbone", "weights", "licence", "SHA-256", "published at"}}
	for _, o := range c.facts.Description.Origins {
		licence := cmp.Or(o.Licence, "not known")
		if o.Digest == "" {
			licence = "none: random"
		}
		use := "in the model"
		if o.Role == record.RoleTeacher {
			use = "in a teacher that it was distilled from"
		}
		rows = append(rows, []string{use, o.Backbone, o.Weights, licence, short(o.Digest), o.Address})
	}
	c.table(rows)
	licences, known := c.facts.Licence()
	if !known {
		c.line("The licence of some of these weights is not known. Find it out before you pass the model on.")
	}
	if limited := slices.DeleteFunc(licences, func(l string) bool { return !nonCommercial(l) }); len(limited) > 0 {
		c.line("Some of these weights are licensed for non-commercial use only (%s). The model was trained or distilled from them and has the same limit.", text(strings.Join(limited, ", ")))
	}
}

// nonCommercial tells whether a licence forbids commercial use, by its SPDX name.
func nonCommercial(licence string) bool {
	return strings.Contains("-"+strings.ToUpper(licence)+"-", "-NC-")
}

func (c *card) data() {
	f := c.facts
	if len(f.Splits) == 0 && len(f.Data) == 0 {
		return
	}
	c.line("## Data")
	if f.Pipeline != "" {
		c.line("Of the pipeline %s, stage %s.", text(f.Pipeline), text(f.Stage))
	}
	if len(f.Splits) > 0 {
		classes := map[string]int64{}
		head := []string{"class"}
		total := []string{"rows"}
		for _, s := range f.Splits {
			head = append(head, s.Name)
			total = append(total, count(s.Rows))
			for class, n := range s.Classes {
				classes[class] += n
			}
		}
		rows := [][]string{head}
		for _, class := range sortedNames(classes) {
			row := []string{class}
			for _, s := range f.Splits {
				row = append(row, count(s.Classes[class]))
			}
			rows = append(rows, row)
		}
		c.table(append(rows, total))
	}
	for _, port := range sortedNames(f.Data) {
		c.line("Input %s: content digest %s.", text(port), f.Data[port])
	}
}

func (c *card) metrics() {
	for _, m := range c.facts.Measured {
		split := cmp.Or(m.Split, "unnamed")
		if m.Task == "" {
			c.line("## Measured on split %s", text(split))
		} else {
			c.line("## Task %s, measured on split %s", text(m.Task), text(split))
		}
		rows := [][]string{{"metric", "value", "95 % interval", "rows"}}
		for _, x := range m.Headline() {
			rows = append(rows, metricRow(strings.ReplaceAll(x.Name, "_", " "), x))
		}
		for _, x := range m.Metrics {
			if x.Baseline != "" && x.Class == "" && x.Slice == "" && (x.Name == record.Accuracy || x.Name == record.MeanAveragePrecision || x.Name == record.R2) {
				rows = append(rows, metricRow(strings.ReplaceAll(x.Name, "_", " ")+" of the baseline: "+x.Baseline, x))
			}
		}
		c.table(rows)
		if m.Cluster != "" {
			c.line("Intervals draw rows of equal %s together.", text(m.Cluster))
		}
		parts := [][]string{{"rows where", "accuracy", "95 % interval", "rows"}}
		for _, x := range m.Metrics {
			if x.Slice != "" && x.Class == "" && x.Baseline == "" && x.Name == record.Accuracy {
				parts = append(parts, metricRow(x.Slice, x))
			}
		}
		if len(parts) > 1 {
			c.table(parts)
		}
	}
}

func metricRow(name string, x Metric) []string {
	interval := ""
	if x.Low != nil && x.High != nil {
		interval = fmt.Sprintf("%.3f to %.3f", *x.Low, *x.High)
	}
	return []string{name, fmt.Sprintf("%.3f", x.Value), interval, count(x.Rows)}
}

// limitsShown is how many classes and slices the section on limits names.
const limitsShown = 3

// limits tells where the model was seen to be weakest.
func (c *card) limits() {
	var lines []string
	for _, m := range c.facts.Measured {
		var classes, parts []Metric
		whole := 1.0
		for _, x := range m.Headline() {
			if x.Name == record.Accuracy {
				whole = x.Value
			}
		}
		for _, x := range m.Metrics {
			switch {
			case x.Baseline != "", x.Value >= whole: // not weaker than elsewhere
			case x.Class != "" && x.Slice == "" && x.Name == record.Recall:
				classes = append(classes, x)
			case x.Slice != "" && x.Class == "" && x.Name == record.Accuracy:
				parts = append(parts, x)
			}
		}
		for _, x := range lowest(classes) {
			lines = append(lines, fmt.Sprintf("- On split %s, %.0f %% of the %d rows of class %s are found.", text(m.Split), 100*x.Value, x.Rows, text(x.Class)))
		}
		for _, x := range lowest(parts) {
			lines = append(lines, fmt.Sprintf("- On split %s, the accuracy is %.3f on the %d rows where %s.", text(m.Split), x.Value, x.Rows, text(x.Slice)))
		}
	}
	if len(lines) == 0 {
		return
	}
	c.line("## Where it is weakest")
	c.line("%s", strings.Join(lines, "\n"))
}

func lowest(all []Metric) []Metric {
	slices.SortStableFunc(all, func(a, b Metric) int { return cmp.Compare(a.Value, b.Value) })
	return all[:min(limitsShown, len(all))]
}

func (c *card) recipe() {
	r := c.facts.Description.Recipe
	if r == nil {
		return
	}
	c.line("## Recipe")
	rows := [][]string{{"setting", "value"}}
	for _, f := range r.Fields {
		rows = append(rows, []string{f.Name, f.Value})
	}
	c.table(rows)
}

func sortedNames[V any](m map[string]V) []string {
	return slices.Sorted(maps.Keys(m))
}
