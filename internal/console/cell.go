package console

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/tlpipe/tlpipe/internal/record"
)

// shownValues is how many values of a list a cell shows.
const shownValues = 4

// Cell writes one value of a table for people, in one line: "-" for a missing
// one, the first values of a list, the size of binary data.
func Cell(column arrow.Array, row int) string {
	if column.IsNull(row) {
		return "-"
	}
	switch column := column.(type) {
	case *array.String:
		return Line(column.Value(row))
	case *array.Binary:
		return Bytes(int64(len(column.Value(row))))
	case *array.LargeBinary:
		return Bytes(int64(len(column.Value(row))))
	case *array.Float16:
		return number(float64(column.Value(row).Float32()))
	case *array.Float32:
		return number(float64(column.Value(row)))
	case *array.Float64:
		return number(column.Value(row))
	case array.ListLike:
		from, to := column.ValueOffsets(row)
		var parts []string
		for i := from; i < to; i++ {
			if i-from == shownValues {
				parts = append(parts, "…")
				break
			}
			parts = append(parts, Cell(column.ListValues(), int(i)))
		}
		return "[" + strings.Join(parts, " ") + "]"
	default:
		return Line(column.ValueStr(row))
	}
}

// ShortDigests shortens the digests in a text to as many digits as tell them apart for people.
func ShortDigests(text string) string {
	var b strings.Builder
	for text != "" {
		n := 0
		for n < len(text) && strings.IndexByte("0123456789abcdef", text[n]) >= 0 {
			n++
		}
		if n == digestDigits {
			b.WriteString(text[:shownDigits] + "…")
		} else {
			b.WriteString(text[:n])
		}
		text = text[n:]
		if text != "" && n == 0 {
			b.WriteByte(text[0])
			text = text[1:]
		}
	}
	return b.String()
}

const (
	digestDigits = 64 // of a SHA-256
	shownDigits  = 12
)

// number shows four significant digits.
func number(x float64) string {
	if x == math.Trunc(x) && math.Abs(x) < 1e6 {
		return strconv.FormatFloat(x, 'f', -1, 64)
	}
	return strconv.FormatFloat(x, 'g', 4, 64)
}

// ColumnType names the type of a column for people: "utf8", "tensor of uint8
// [64 64 3]".
func ColumnType(f arrow.Field) string {
	if shape, element, err := record.TensorShape(f); err == nil {
		return fmt.Sprintf("tensor of %s %v", element, shape)
	}
	return f.Type.String()
}
