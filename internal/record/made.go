package record

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// MadeDifferently tells in words what two settings of the same kind, as JSON in metadata and traits (a [Preprocessing], an [Extraction]),
// differ in: those of given rows, and those that a model was trained on.
func MadeDifferently(given, want string) string {
	var a, b map[string]any
	if json.Unmarshal([]byte(given), &a) != nil || json.Unmarshal([]byte(want), &b) != nil {
		return fmt.Sprintf("%s, not %s", given, want)
	}
	names := slices.Sorted(maps.Keys(a))
	for name := range b {
		if _, ok := a[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var out []string
	for _, name := range names {
		x, y := valueInWords(a[name]), valueInWords(b[name])
		if x != y {
			out = append(out, fmt.Sprintf("%s %s, not %s", name, x, y))
		}
	}
	return strings.Join(out, "; ")
}

// valueInWords shortens digests.
func valueInWords(v any) string {
	switch v := v.(type) {
	case nil:
		return "not set"
	case string:
		if len(v) == 64 {
			return v[:12] + "…"
		}
		if v == "" {
			return "not set"
		}
		return v
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
