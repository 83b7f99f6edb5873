package params

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Bytes is a size: in YAML a number with or without a unit, 500, 500MB, 1.5 GB, 2GiB.
type Bytes int64

// DecodeParam implements Decoder.
func (b *Bytes) DecodeParam(d *Decoding, node *yaml.Node) {
	n, err := ParseBytes(node.Value)
	if node.Kind != yaml.ScalarNode || err != nil {
		d.Errorf(node, "such as 500MB or 20GiB", "expected a size, found %s", describe(node))
		return
	}
	*b = Bytes(n)
}

// ParamSchema implements Schemer.
func (Bytes) ParamSchema(map[string]any) map[string]any {
	return map[string]any{"type": []string{"integer", "string"}}
}

// ParseBytes reads a size: 500, 500MB, 1.5 GB, 2GiB.
func ParseBytes(text string) (int64, error) {
	number := strings.TrimRight(text, "kKMGTPiIbB ")
	unit := strings.ToLower(strings.TrimSpace(text[len(number):]))
	base := 1000.0
	if strings.Contains(unit, "i") {
		base = 1024
	}
	prefix := strings.TrimSuffix(strings.TrimSuffix(unit, "b"), "i")
	power := strings.Index("kmgtp", prefix) + 1
	if prefix == "" {
		power = 0
	}
	x, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	x *= math.Pow(base, float64(power))
	if err != nil || len(prefix) > 1 || prefix == "" && strings.Contains(unit, "i") || !(x >= 0 && x < math.MaxInt64) {
		return 0, fmt.Errorf("%q is no size; a size is such as 500MB or 20GiB", text)
	}
	return int64(x), nil
}
