package console

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/tlpipe/tlpipe/pipeline/params"
)

// Count writes a whole number with its thousands apart: 12,345.
func Count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return sign + b.String()
}

// Of counts things: "1 row", "2,000 rows".
func Of(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return Count(n) + " " + thing + "s"
}

// Bytes writes a size with a decimal unit: 0 B, 999 B, 1.0 kB, 12 MB.
func Bytes(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	x, units := float64(n), "kMGTPE"
	unit := -1
	for x >= 999.5 {
		x /= 1000
		unit++
	}
	if x < 9.95 {
		return fmt.Sprintf("%.1f %cB", x, units[unit])
	}
	return fmt.Sprintf("%.0f %cB", x, units[unit])
}

// ParseBytes reads a size: 500, 500MB, 1.5 GB, 2GiB.
func ParseBytes(text string) (int64, error) { return params.ParseBytes(text) }

// Seconds writes a duration: 0.0s, 4.2s, 42s, 3m05s, 2h07m.
func Seconds(s float64) string {
	switch {
	case math.IsNaN(s) || math.IsInf(s, 0) || s < 0:
		return "-"
	case s < 9.95:
		return fmt.Sprintf("%.1fs", s)
	case s < 59.5:
		return fmt.Sprintf("%.0fs", s)
	case s < 3570:
		whole := int(s + 0.5)
		return fmt.Sprintf("%dm%02ds", whole/60, whole%60)
	default:
		minutes := int(s/60 + 0.5)
		return fmt.Sprintf("%dh%02dm", minutes/60, minutes%60)
	}
}
