package curve

import (
	"fmt"
	"math"
	"strings"

	"github.com/tlpipe/tlpipe/internal/nn/train"
)

// Size of the plot in letters.
const (
	columns = 64
	rows    = 12
)

// Text draws the smoothed loss over the learning rate, on a logarithmic axis, with the rates that the
// test suggests below it. Every line ends with a newline.
func Text(c *train.RateCurve) string {
	if len(c.Points) == 0 {
		return "no step was taken\n"
	}
	first, last := math.Log(c.Points[0].Rate), math.Log(c.Points[len(c.Points)-1].Rate)
	least, most := bounds(c)
	place := func(x, low, high float64, n int) int {
		if high <= low {
			return 0
		}
		return min(max(int(math.Round((x-low)/(high-low)*float64(n-1))), 0), n-1)
	}
	grid := make([][]rune, rows)
	for i := range grid {
		grid[i] = []rune(strings.Repeat(" ", columns))
	}
	for _, p := range c.Points {
		x := place(math.Log(p.Rate), first, last, columns)
		grid[rows-1-place(p.Smoothed, least, most, rows)][x] = '•'
	}
	var b strings.Builder
	for i, line := range grid {
		label := ""
		switch i {
		case 0:
			label = fmt.Sprintf("%.3g", most)
		case rows - 1:
			label = fmt.Sprintf("%.3g", least)
		}
		fmt.Fprintf(&b, "%8s │%s\n", label, strings.TrimRight(string(line), " "))
	}
	fmt.Fprintf(&b, "%8s └%s\n", "loss", strings.Repeat("─", columns))
	marks := []rune(strings.Repeat(" ", columns))
	for _, m := range suggestions(c) {
		marks[place(math.Log(m.rate), first, last, columns)] = m.mark
	}
	fmt.Fprintf(&b, "%8s  %s\n", "", strings.TrimRight(string(marks), " "))
	from, to := fmt.Sprintf("%.1e", c.Points[0].Rate), fmt.Sprintf("%.1e", c.Points[len(c.Points)-1].Rate)
	fmt.Fprintf(&b, "%8s  %s%*s\n", "rate", from, columns-len(from), to)
	for _, m := range suggestions(c) {
		fmt.Fprintf(&b, "%c %s: %.2e\n", m.mark, m.name, m.rate)
	}
	return b.String()
}

// suggestion is a rate worth trying.
type suggestion struct {
	mark rune
	name string
	rate float64
}

func suggestions(c *train.RateCurve) (out []suggestion) {
	for _, s := range []suggestion{{'v', "valley", c.Valley}, {'s', "steepest", c.Steepest}} {
		if !math.IsNaN(s.rate) {
			out = append(out, s)
		}
	}
	return out
}

// bounds are the smoothed losses to show: what runs away at the end is cut off at twice the range
// that the test began with.
func bounds(c *train.RateCurve) (least, most float64) {
	least = math.Inf(1)
	for _, p := range c.Points {
		least = min(least, p.Smoothed)
	}
	begin := c.Points[0].Smoothed
	most = begin
	for _, p := range c.Points {
		most = max(most, min(p.Smoothed, begin+(begin-least)+0.1*math.Abs(begin)))
	}
	return least, most
}
