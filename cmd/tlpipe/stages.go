package main

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tlpipe/tlpipe/internal/console"
	"github.com/tlpipe/tlpipe/pipeline"
	"github.com/tlpipe/tlpipe/pipeline/params"
)

func (p *program) stagesCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "stages [NAME]",
		Short: "List the kinds of stage, or describe one",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				table := console.NewTable("USES", "TAKES", "GIVES", "WHAT IT DOES").Fit(p.out.File)
				for _, k := range p.kinds {
					table.Row(k.Name, carried(k.Inputs), carried(k.Outputs), k.Summary)
				}
				return table.Write(p.out, "")
			}
			var known []string
			for _, k := range p.kinds {
				if k.Name == args[0] {
					return p.printKind(k)
				}
				known = append(known, k.Name)
			}
			return usage("there is no kind of stage %q (%s)", args[0], params.DidYouMean(args[0], known))
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var known []string
			for _, k := range p.kinds {
				known = append(known, k.Name)
			}
			return known, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

func (p *program) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of pipelines, for editors",
		Long: `Print the JSON Schema of pipelines. Editors with a YAML language server check and
complete a pipeline that begins with
  # yaml-language-server: $schema=tlpipe.schema.json`,
		Example: "  tlpipe schema >tlpipe.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			e := p.out.JSON()
			e.SetIndent("", "  ")
			return e.Encode(pipeline.JSONSchema(p.kinds))
		},
	}
}

// carried names the sorts of table that ports carry.
func carried(ports []pipeline.Port) string {
	var words []string
	for _, port := range ports {
		if word := string(port.Kind); !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return strings.Join(words, ", ")
}

// printKind tells all about a kind of stage.
func (p *program) printKind(k pipeline.Kind) error {
	fmt.Fprintf(p.out, "%s: %s\n", k.Name, k.Summary)
	if k.Doc != "" {
		fmt.Fprintf(p.out, "\n%s\n", console.Wrap(k.Doc, 80))
	}
	table := console.NewTable("PORT", "CARRIES", "WHAT").Fit(p.out.File)
	for _, port := range k.Inputs {
		kinds := []string{string(port.Kind)}
		for _, also := range port.Also {
			kinds = append(kinds, string(also))
		}
		what := []string{port.Doc}
		if port.Optional {
			what = append(what, "optional")
		}
		if port.Many {
			what = append(what, "takes a list")
		}
		table.Row("from "+port.Name, strings.Join(kinds, ", "), strings.Join(what, "; "))
	}
	for _, port := range k.Outputs {
		table.Row("gives "+port.Name, string(port.Kind), port.Doc)
	}
	table.Row("gives "+pipeline.RejectsPort, string(pipeline.Metrics), "rows that could not be used, and why")
	fmt.Fprintln(p.out)
	if err := table.Write(p.out, ""); err != nil {
		return err
	}
	if rows := parameterRows(reflect.TypeOf(k.Params), "", defaultsOf(k.Params), nil); len(rows) > 0 {
		table := console.NewTable("PARAMETER", "TYPE", "DEFAULT", "WHAT").Fit(p.out.File)
		for _, r := range rows {
			table.Row(r...)
		}
		fmt.Fprintln(p.out)
		if err := table.Write(p.out, ""); err != nil {
			return err
		}
	}
	if k.Example != "" {
		fmt.Fprintf(p.out, "\nExample:\n\n%s\n", indented(k.Example))
	}
	return nil
}

func indented(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ")
}

// parameterRows lists the parameters of a struct, with those of the structs
// within. Defaults are by path.
func parameterRows(t reflect.Type, prefix string, defaults map[string]string, above []reflect.Type) (rows [][]string) {
	for _, f := range params.Fields(t) {
		fallback := defaultOf(prefix+f.Name, defaults)
		if f.Required {
			fallback = "required"
		}
		what := f.Doc
		if enum := f.Enum(); enum != nil {
			what += " (" + strings.Join(enum, ", ") + ")"
		}
		if bounds := f.Bounds(); bounds != "" {
			what += " (" + bounds + ")"
		}
		rows = append(rows, []string{prefix + f.Name, typeWord(f.Type), fallback, what})

		inner, name := f.Type, prefix+f.Name
		if inner.Kind() == reflect.Slice {
			inner, name = inner.Elem(), name+"[]"
		}
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && !slices.Contains(above, inner) && !spelledOtherwise(inner) {
			rows = append(rows, parameterRows(inner, name+".", defaults, append(above, inner))...)
		}
	}
	return rows
}

// spelledOtherwise tells whether YAML spells a struct as something else than a mapping of its fields, none of which is documented.
func spelledOtherwise(t reflect.Type) bool {
	_, decodes := reflect.New(t).Interface().(params.Decoder)
	return decodes && !slices.ContainsFunc(params.Fields(t), func(f params.Field) bool { return f.Doc != "" })
}

// defaultsOf gives the plain defaults of parameters by path.
func defaultsOf(p any) map[string]string {
	out := map[string]string{}
	for _, v := range params.Flatten(p) {
		text := v.Text
		if unquoted, err := strconv.Unquote(text); err == nil {
			text = unquoted
		}
		switch text {
		case "none", "[]", "{}":
			text = ""
		}
		out[v.Path] = text
	}
	return out
}

// defaultOf writes the default of a parameter in one word, as YAML would.
func defaultOf(path string, defaults map[string]string) string {
	if text, ok := defaults[path]; ok {
		return text
	}
	var items []string
	for {
		text, ok := defaults[fmt.Sprintf("%s[%d]", path, len(items))]
		if !ok {
			break
		}
		items = append(items, text)
	}
	if len(items) == 0 {
		return ""
	}
	return "[" + strings.Join(items, ", ") + "]"
}

func typeWord(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64:
		return "number"
	case t.Kind() == reflect.Pointer:
		return typeWord(t.Elem())
	case t.Kind() == reflect.Slice:
		return "list of " + typeWord(t.Elem()) + "s"
	case t.Kind() == reflect.Map:
		return "mapping to " + typeWord(t.Elem())
	case t.Kind() == reflect.Struct && spelledOtherwise(t):
		return "number, text or mapping"
	case t.Kind() == reflect.Struct:
		return "mapping"
	default:
		return "integer"
	}
}
