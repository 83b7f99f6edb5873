package backbone

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
)

// efficientNetTable returns table 1 of the paper, for B0: repeats, kernel, stride of the first,
// expansion, channels.
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

// efficientNetB0 is EfficientNet-B0 as torchvision has it, with symmetric padding.
func efficientNetB0() Backbone {
	return Backbone{
		Name:    "efficientnet_b0",
		Title:   "EfficientNet-B0",
		Paper:   "Tan and Le 2019, arXiv:1905.11946; torchvision",
		Pooled:  "pooled",
		LastMap: "head",
		Logits:  "logits",
		MinSize: 32,
		Weights: []WeightSet{
			torchvision("imagenet", "EfficientNet_B0_Weights.IMAGENET1K_V1", "efficientnet_b0_rwightman-7f5810bc.pth", 77.692, 93.532,
				imageNetPixels(224, 256, record.FilterBicubic)),
		},
		variants: []variant{{
			name:    "torchvision",
			namings: []naming{pyTorch("torchvision", efficientNetTorchvision)},
			build: func(b *nn.Builder, image nn.Value) {
				r := invertedResidual{unit: torchUnit(), act: kernel.SiLU, squeeze: true}
				x := r.add(b.Scope("stem"), image, centred(image, 32, 3, 2), r.act)
				block := 0
				for _, row := range efficientNetTable() {
					repeats, size, stride, expansion, channels := row[0], row[1], row[2], row[3], row[4]
					for range repeats {
						x = r.block(b.Scope(fmt.Sprintf("block%d", block)), x, size, stride, expansion, channels)
						block++
						stride = 1
					}
				}
				x = r.add(b.Scope("head"), x, centred(x, 1280, 1, 1), r.act)
				classify(b, x, 0.2)
			},
		}},
	}
}

// efficientNetTorchvision gives a layer its name in torchvision, where a block has the number of its
// row and its number in the row, and its parts have theirs: the first block does not expand.
func efficientNetTorchvision(layer string) string {
	part, rest, _ := strings.Cut(layer, ".")
	if number, ok := strings.CutPrefix(part, "block"); ok {
		block, err := strconv.Atoi(number)
		if err != nil {
			return ""
		}
		parts := map[string]string{
			"expand.conv": "0.0", "expand.bn": "0.1",
			"depthwise.conv": "1.0", "depthwise.bn": "1.1",
			"squeeze.reduce": "2.fc1", "squeeze.expand": "2.fc2",
			"project.conv": "3.0", "project.bn": "3.1",
		}
		if block == 0 {
			parts = map[string]string{
				"depthwise.conv": "0.0", "depthwise.bn": "0.1",
				"squeeze.reduce": "1.fc1", "squeeze.expand": "1.fc2",
				"project.conv": "2.0", "project.bn": "2.1",
			}
		}
		row := 0
		for table := efficientNetTable(); block >= table[row][0]; row++ {
			block -= table[row][0]
		}
		return fmt.Sprintf("features.%d.%d.block.%s", row+1, block, parts[rest])
	}
	return map[string]string{
		"stem.conv": "features.0.0", "stem.bn": "features.0.1",
		"head.conv": "features.8.0", "head.bn": "features.8.1", "logits": "classifier.1",
	}[layer]
}
