package report

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tlpipe/tlpipe/pipeline"
)

// How numbers and names are written for people. A number that is not known is
// a dash.

const dash = "–"

// percent writes a share: "93.7%".
func percent(share float64) string {
	if math.IsNaN(share) {
		return dash
	}
	return signed(100*share, 1) + "%"
}

// percentRange writes an interval of shares: "88.0–98.1%"; "" if not known.
func percentRange(low, high float64) string {
	if math.IsNaN(low) || math.IsNaN(high) {
		return ""
	}
	between := dash
	if low < 0 || high < 0 {
		between = " to " // a dash would read as a sign
	}
	return signed(100*low, 1) + between + signed(100*high, 1) + "%"
}

// points writes a difference of shares in percentage points: "+31.0".
func points(difference float64) string {
	text := signed(100*difference, 1)
	if difference > 0 && text != "0.0" {
		text = "+" + text
	}
	return text
}

// score writes a number that is no share: "0.512".
func score(x float64) string {
	switch {
	case math.IsNaN(x):
		return dash
	case math.Abs(x) >= 1000:
		return signed(x, 0)
	default:
		return signed(x, 3)
	}
}

// scoreRange writes an interval of such numbers; "" if not known.
func scoreRange(low, high float64) string {
	if math.IsNaN(low) || math.IsNaN(high) {
		return ""
	}
	return score(low) + dash + score(high)
}

// chance writes a p-value: "p < 0.001", "p = 0.04".
func chance(p float64) string {
	const space = "\u00a0" // keeps it on one line
	switch {
	case p < 0.001:
		return "p" + space + "<" + space + "0.001"
	case p < 0.1:
		return "p" + space + "=" + space + strconv.FormatFloat(p, 'g', 2, 64)
	default:
		return "p" + space + "=" + space + strconv.FormatFloat(p, 'f', 2, 64)
	}
}

// signed writes a number with a true minus sign and no minus zero.
func signed(x float64, decimals int) string {
	text := strconv.FormatFloat(math.Abs(x), 'f', decimals, 64)
	if x < 0 && strings.Trim(text, "0.") != "" {
		return "−" + text
	}
	return text
}

// count writes a whole number in groups of three: "10,000".
func count(n int64) string {
	text := strconv.FormatInt(n, 10)
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// magnitude writes a number with two or three digits, and the unit with the
// prefix that it takes: "3.4 MB"; without a unit "3.4 M", "860".
func magnitude(x float64, unit string) string {
	const space = "\u00a0" // keeps it on one line
	for _, prefix := range []struct {
		size float64
		name string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if x >= 0.9995*prefix.size {
			decimals := 0
			if x < 9.95*prefix.size {
				decimals = 1
			}
			return strconv.FormatFloat(x/prefix.size, 'f', decimals, 64) + space + prefix.name + unit
		}
	}
	text := strconv.FormatFloat(x, 'f', 0, 64)
	if unit != "" {
		text += space + unit
	}
	return text
}

// smallPercent writes a share that may be tiny: "0.04%".
func smallPercent(share float64) string {
	if share > 0 && share < 0.01 {
		return strconv.FormatFloat(100*share, 'g', 2, 64) + "%"
	}
	return percent(share)
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

// seconds writes a time: "0.4 s", "3 min 12 s".
func seconds(s float64) string {
	switch {
	case s < 0.05:
		return "< 0.1 s"
	case s < 10:
		return strconv.FormatFloat(s, 'f', 1, 64) + " s"
	case s < 60:
		return strconv.FormatFloat(s, 'f', 0, 64) + " s"
	}
	d := time.Duration(s * float64(time.Second)).Round(time.Second)
	if d < time.Hour {
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}

// coordinatesInWords writes a place in the matrix: numbers with their axis,
// words alone.
func coordinatesInWords(c pipeline.Coordinates) string {
	var parts []string
	for _, axis := range slices.Sorted(maps.Keys(c)) {
		parts = append(parts, coordinateInWords(axis, c[axis]))
	}
	return strings.Join(parts, " · ")
}

func coordinateInWords(axis, value string) string {
	if _, err := strconv.ParseFloat(value, 64); err == nil || value == "true" || value == "false" {
		return axis + " " + value
	}
	return value
}

// inWords joins names: "a, b and c".
func inWords(names []string) string {
	switch len(names) {
	case 0:
		return ""
	case 1:
		return names[0]
	default:
		return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
	}
}
