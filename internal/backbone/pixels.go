package backbone

import (
	"github.com/tlpipe/tlpipe/internal/nn"
	"github.com/tlpipe/tlpipe/internal/record"
)

// pixels is no network but the picture itself, averaged to a few pixels: the baseline that a
// backbone has to beat.
func pixels() Backbone {
	const grid = 16 // pixels each way
	mean, std, channels, _ := record.Normalisation("none")
	return Backbone{
		Name:      "pixels",
		Title:     "Raw pixels",
		Paper:     "the colours of the picture, averaged to 16×16",
		Pooled:    "pooled",
		LastMap:   "grid",
		MinSize:   1,
		AnyPixels: true,
		preparation: record.Preprocessing{
			Height: 64, Width: 64,
			Resize: record.ResizeShortest, ResizeTo: 64, Filter: record.FilterBilinear,
			Channels: channels, Mean: mean, Std: std, Normalise: "none",
		},
		variants: []variant{{build: func(b *nn.Builder, image nn.Value) {
			// Windows that cover every pixel, overlapping where the size is no multiple.
			axis := func(size int) (window, stride int) {
				if size < grid {
					return 1, 1
				}
				stride = size / grid
				return size - (grid-1)*stride, stride
			}
			h, strideH := axis(image.Shape[0])
			w, strideW := axis(image.Shape[1])
			x := b.Layer("grid", nn.AveragePool{Kernel: nn.Pair{h, w}, Stride: nn.Pair{strideH, strideW}}, image)
			b.Layer("pooled", nn.Flatten{}, x)
		}}},
	}
}
