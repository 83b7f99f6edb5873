package report

import (
	"context"
	"embed"
	"fmt"
	"html/template"
	"io"

	"github.com/tlpipe/tlpipe/internal/untrusted"
)

//go:embed templates
var templateFiles embed.FS

// Write writes the report of a run as one HTML page. What cannot be read, of
// the artifacts of the run, is left out and told of on the page; the error is
// that of ctx or of w.
func Write(ctx context.Context, w io.Writer, run Run) error {
	templates, err := parseTemplates()
	if err != nil {
		return err
	}
	page, err := newPage(ctx, run)
	if err != nil {
		return fmt.Errorf("report of run %s: %w", run.ID, err)
	}
	for i := range page.Sections {
		if err := page.Sections[i].draw(templates); err != nil {
			return fmt.Errorf("report of run %s: %w", run.ID, err)
		}
	}
	if err := templates.ExecuteTemplate(untrusted.NewWriter(w), "page.html", page); err != nil {
		return fmt.Errorf("report of run %s: %w", run.ID, err)
	}
	return nil
}

func parseTemplates() (*template.Template, error) {
	t, err := template.New("").Funcs(template.FuncMap{
		"place":     decimal,
		"count":     count,
		"symbolIDs": symbolIDs,
	}).ParseFS(templateFiles, "templates/*.html", "templates/*.svg")
	if err != nil {
		return nil, fmt.Errorf("templates of the report: %w", err)
	}
	return t, nil
}

func style(name string) string {
	text, err := templateFiles.ReadFile("templates/" + name)
	if err != nil {
		panic(err) // embedded
	}
	return string(text)
}

func graphStyle() string { return style("graph.css") }

// symbolIDs numbers the symbols that the page defines.
func symbolIDs() []int {
	out := make([]int, symbols)
	for i := range out {
		out[i] = i
	}
	return out
}
