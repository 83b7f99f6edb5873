package backbone

import (
	"fmt"
	"strings"

	"github.com/tlpipe/tlpipe/internal/nn"
)

// efficientNetTable returns table 1 of the paper (Tan and Le 2019, arXiv:1905.11946), for B0: repeats,
// kernel, stride of the first, expansion, channels.
func efficientNetTable() [][5]int {
	return [][5]int{
		{1, 3, 1, 1, 16},
		{2, 3, 2, 6, 24},
		{2, 5, 2, 6, 40},
		{3, 3, 2, 6, 80},
		{3, 5, 1, 6, 112},
		{4, 5, 2, 6, 192},
		{1, 3, 1, 6, 320},
	}
}

// efficientNet is the network of that table, from blocks that r makes.
func efficientNet(r invertedResidual) func(*nn.Builder, nn.Value) {
	return func(b *nn.Builder, image nn.Value) {
		x := r.add(b.Scope("stem"), image, r.conv(image, 32, 3, 2), r.act)
		block := 0
		for _, row := range efficientNetTable() {
			repeats, size, stride, expansion, channels := row[0], row[1], row[2], row[3], row[4]
			for range repeats {
				x = r.block(b.Scope(fmt.Sprintf("block%d", block)), x, size, stride, expansion, channels)
				block++
				stride = 1
			}
		}
		x = r.add(b.Scope("head"), x, r.conv(x, 1280, 1, 1), r.act)
		classify(b, x, 0.2)
	}
}

// rowNames names the layers of networks whose blocks files call by their row in the paper's table and
// their number in the row, both from 0.
type rowNames struct {
	repeats []int             // of each row
	others  map[string]string // layers outside of blocks
	block   func(row, number int) string
	parts   map[string]string // of a block
	first   map[string]string // of the first block, which does not expand
}

// name gives a layer its name.
func (n rowNames) name(layer string) string {
	part, rest, _ := strings.Cut(layer, ".")
	var number int
	if _, err := fmt.Sscanf(part, "block%d", &number); err != nil {
		return n.others[layer]
	}
	parts := n.parts
	if number == 0 {
		parts = n.first
	}
	row := 0
	for ; row < len(n.repeats)-1 && number >= n.repeats[row]; row++ {
		number -= n.repeats[row]
	}
	return n.block(row, number) + parts[rest]
}

// efficientNetRepeats are those of the table.
func efficientNetRepeats() []int {
	var repeats []int
	for _, row := range efficientNetTable() {
		repeats = append(repeats, row[0])
	}
	return repeats
}

// timmMobileNet names the layers of mobile networks as timm does: block3.expand.conv is
// blocks.2.0.conv_pw, if block 3 is the first of row 2.
func timmMobileNet(repeats []int) func(string) string {
	return rowNames{
		repeats: repeats,
		others: map[string]string{
			"stem.conv": "conv_stem", "stem.bn": "bn1", "head.conv": "conv_head", "head.bn": "bn2", "logits": "classifier",
		},
		block: func(row, number int) string { return fmt.Sprintf("blocks.%d.%d.", row, number) },
		parts: map[string]string{
			"expand.conv": "conv_pw", "expand.bn": "bn1",
			"depthwise.conv": "conv_dw", "depthwise.bn": "bn2",
			"squeeze.reduce": "se.conv_reduce", "squeeze.expand": "se.conv_expand",
			"project.conv": "conv_pwl", "project.bn": "bn3",
		},
		first: map[string]string{
			"depthwise.conv": "conv_dw", "depthwise.bn": "bn1",
			"squeeze.reduce": "se.conv_reduce", "squeeze.expand": "se.conv_expand",
			"project.conv": "conv_pw", "project.bn": "bn2",
		},
	}.name
}
