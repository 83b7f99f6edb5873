package method

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// Titles are the methods' words, with the settings by which those of one word differ: "mmd, estimator linear". Methods that are the same, or that
// differ in a setting that is not told, get a number.
func Titles(methods []Method) []string {
	out := make([]string, len(methods))
	for i, m := range methods {
		out[i] = m.Kind
		var alike []Method
		for _, other := range methods {
			if other.Kind == m.Kind {
				alike = append(alike, other)
			}
		}
		own := m.settings()
		for _, setting := range slices.Sorted(maps.Keys(own)) {
			if slices.ContainsFunc(alike, func(o Method) bool { return o.settings()[setting] != own[setting] }) {
				out[i] += fmt.Sprintf(", %s %s", words(setting), own[setting])
			}
		}
		if n := len(slices.DeleteFunc(slices.Clone(out[:i]), func(name string) bool { return name != out[i] && !strings.HasPrefix(name, out[i]+" (") })); n > 0 {
			out[i] += fmt.Sprintf(" (%d)", n+1)
		}
	}
	return out
}

// settings are those of the method as text, by name.
func (m Method) settings() map[string]string {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal([]byte(m.Text()), &raw); err != nil { // of what was marshalled just now
		panic(err)
	}
	out := map[string]string{}
	for name, value := range raw {
		out[name] = strings.Trim(string(value), `"`)
	}
	return out
}

// words parts a Go name: "pseudo labels".
func words(name string) string {
	var out strings.Builder
	for i, letter := range name {
		if i > 0 && unicode.IsUpper(letter) {
			out.WriteByte(' ')
		}
		out.WriteRune(unicode.ToLower(letter))
	}
	return out.String()
}
