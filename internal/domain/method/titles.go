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
	settings := make([]map[string]string, len(methods))
	for i, m := range methods {
		settings[i] = m.settings()
	}
	times := map[string]int{}
	out := make([]string, len(methods))
	for i, m := range methods {
		title := m.Kind
		for _, name := range slices.Sorted(maps.Keys(settings[i])) {
			for j, other := range methods {
				if other.Kind == m.Kind && settings[j][name] != settings[i][name] {
					title += fmt.Sprintf(", %s %s", words(name), settings[i][name])
					break
				}
			}
		}
		if times[title]++; times[title] > 1 {
			title += fmt.Sprintf(" (%d)", times[title])
		}
		out[i] = title
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
