package registry

import (
	"fmt"
	"strconv"
	"strings"
)

func recipe(f Facts) map[string]string {
	out := map[string]string{}
	if f.Description.Recipe != nil {
		for _, field := range f.Description.Recipe.Fields {
			if field.Value != "none" { // the same as not being there
				out[field.Name] = field.Value
			}
		}
	}
	return out
}

func splits(f Facts) map[string]string {
	out := map[string]string{}
	for _, s := range f.Splits {
		out[s.Name] = count(s.Rows)
	}
	return out
}

func origins(f Facts) map[string]string {
	out := map[string]string{}
	for _, o := range f.Description.Origins {
		name, text := o.Backbone, strings.TrimSpace(o.Weights+" "+short(o.Digest))
		if o.Role != "" {
			name = o.Role + " " + name
		}
		if out[name] != "" {
			text = out[name] + ", " + text
		}
		out[name] = text
	}
	return out
}

func measured(f Facts) map[string]string {
	out := map[string]string{}
	for _, m := range f.Measured {
		for _, x := range m.Headline() {
			text := strconv.FormatFloat(x.Value, 'g', 4, 64)
			if x.Low != nil && x.High != nil {
				text += fmt.Sprintf(" (%.4g to %.4g)", *x.Low, *x.High)
			}
			out[strings.TrimSpace(m.Task+" "+m.Split+" "+x.Name)] = text
		}
	}
	return out
}

// short is as much of a digest as tells it from others.
func short(digest string) string { return digest[:min(12, len(digest))] }

func count(n int64) string { return strconv.FormatInt(n, 10) }
