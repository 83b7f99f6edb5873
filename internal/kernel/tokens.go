package kernel

import (
	"fmt"
	"math"
)

// TokenPooling is how one vector is made of those of a sequence.
type TokenPooling int

// The poolings of tokens.
const (
	MeanOfTokens TokenPooling = iota
	GreatestOfTokens
	FirstToken
	LastToken
)

var tokenPoolingNames = [...]string{"mean", "max", "first", "last"}

// String returns the name: mean, max, first, last.
func (p TokenPooling) String() string {
	if p < 0 || int(p) >= len(tokenPoolingNames) {
		return fmt.Sprintf("token pooling(%d)", int(p))
	}
	return tokenPoolingNames[p]
}

// PoolTokens makes a row of dst of each sequence of rows of src, without the first skip ones. A sequence that has no more
// gives zeros.
func PoolTokens(pool *Pool, p TokenPooling, dst, src []float32, sequences []Sequence, skip, columns int) {
	const name = "pooling of tokens"
	need(name, "dst", dst, len(sequences)*columns)
	need(name, "src", src, rowsOf(sequences)*columns)
	set := active()
	pool.Each(len(sequences), func(_, i int) {
		s, y := sequences[i], dst[i*columns:(i+1)*columns]
		first, count := s.First+skip, s.Length-skip
		if count <= 0 {
			clear(y)
			return
		}
		x := src[first*columns : (first+count)*columns]
		switch p {
		case FirstToken:
			copy(y, x)
		case LastToken:
			copy(y, x[(count-1)*columns:])
		case MeanOfTokens:
			clear(y)
			v := sweep{dst: y, x: x, step: [6]int{0, columns}, n: columns, rows: count}
			v.do(set, opAccumulate)
			scaleInto(set, y, y, 1/float32(count))
		case GreatestOfTokens:
			copy(y, x)
			v := sweep{dst: y, x: x, step: [6]int{0, columns}, n: columns, rows: count}
			v.do(set, opMaximum)
		}
	})
}

// PoolTokensBackward computes the gradient of src from that of dst, dst and src. Of equal greatest tokens the first has it.
func PoolTokensBackward(pool *Pool, p TokenPooling, dsrc, ddst, dst, src []float32, sequences []Sequence, skip, columns int) {
	const name = "gradient of a pooling of tokens"
	need(name, "dsrc", dsrc, rowsOf(sequences)*columns)
	need(name, "ddst", ddst, len(sequences)*columns)
	set := active()
	pool.Each(len(sequences), func(_, i int) {
		s, dy := sequences[i], ddst[i*columns:(i+1)*columns]
		clear(dsrc[s.First*columns : (s.First+s.Rows)*columns])
		first, count := s.First+skip, s.Length-skip
		if count <= 0 {
			return
		}
		dx := dsrc[first*columns : (first+count)*columns]
		switch p {
		case FirstToken:
			copy(dx, dy)
		case LastToken:
			copy(dx[(count-1)*columns:], dy)
		case MeanOfTokens:
			scaleInto(set, dx[:columns], dy, 1/float32(count))
			for row := 1; row < count; row++ {
				copy(dx[row*columns:], dx[:columns])
			}
		case GreatestOfTokens:
			y, x := dst[i*columns:], src[first*columns:]
			for c, d := range dy {
				for row := range count {
					if v := x[row*columns+c]; v == y[c] || v != v {
						dx[row*columns+c] = d
						break
					}
				}
			}
		}
	})
}

// AddPositions computes dst = src + row first+i of table, for token i of each sequence; for padding too, as far as table has
// rows. dst may be src.
func AddPositions(pool *Pool, dst, src, table []float32, first int, sequences []Sequence, columns int) {
	const name = "addition of positions"
	need(name, "dst", dst, rowsOf(sequences)*columns)
	need(name, "src", src, rowsOf(sequences)*columns)
	for _, s := range sequences {
		need(name, "table", table, (first+s.Rows)*columns)
	}
	set := active()
	pool.Each(len(sequences), func(_, i int) {
		from, n := sequences[i].First*columns, sequences[i].Rows*columns
		v := sweep{dst: dst[from:], x: src[from:], y: table[first*columns:], n: n, rows: 1, low: float32(math.Inf(-1)), high: float32(math.Inf(1))}
		v.do(set, opAdd)
	})
}

// SumPositions computes the gradient of the table of [AddPositions], all of it, from that of dst. Padding does not count.
func SumPositions(pool *Pool, dtable, ddst []float32, first int, sequences []Sequence, columns int) {
	need("gradient of positions", "ddst", ddst, rowsOf(sequences)*columns)
	clear(dtable)
	set := active()
	most := 0
	for _, s := range sequences {
		most = max(most, s.Length)
	}
	need("gradient of positions", "dtable", dtable, (first+most)*columns)
	pool.Each(most, func(_, position int) {
		sum := dtable[(first+position)*columns:][:columns]
		for _, s := range sequences {
			if position < s.Length {
				v := sweep{dst: sum, x: ddst[(s.First+position)*columns:], n: columns, rows: 1}
				v.do(set, opAccumulate)
			}
		}
	})
}

// rowsOf is the number of rows that sequences lie in.
func rowsOf(sequences []Sequence) int {
	rows := 0
	for _, s := range sequences {
		rows = max(rows, s.First+s.Rows)
	}
	return rows
}
