package prefix

import (
	"strconv"
	"strings"

	"github.com/tlpipe/tlpipe/pipeline/params"
	"gopkg.in/yaml.v3"
)

// Size is a number of bytes. YAML spells it with a unit: 20GB.
type Size int64

// DecodeParam implements params.Decoder.
func (s *Size) DecodeParam(d *params.Decoding, node *yaml.Node) {
	text := strings.TrimSpace(node.Value)
	unit := strings.TrimLeft(text, "0123456789.")
	factor, ok := map[string]float64{"": 1, "B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[strings.TrimSpace(unit)]
	number, err := strconv.ParseFloat(strings.TrimSuffix(text, unit), 64)
	if node.Kind != yaml.ScalarNode || !ok || err != nil || number*factor > 1e18 {
		d.Errorf(node, "a number and B, kB, MB, GB or TB, such as 20GB", "expected a size, found %q", node.Value)
		return
	}
	*s = Size(number * factor)
}

// ParamSchema implements params.Schemer.
func (Size) ParamSchema(map[string]any) map[string]any {
	return map[string]any{"anyOf": []any{
		map[string]any{"type": "string", "pattern": `^[0-9.]+ ?(B|kB|MB|GB|TB)?$`},
		map[string]any{"type": "integer", "minimum": 0},
	}}
}
