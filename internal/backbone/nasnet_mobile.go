package backbone

import (
	"fmt"
	"strings"

	"github.com/tlpipe/tlpipe/internal/kernel"
	"github.com/tlpipe/tlpipe/internal/nn"
)

// nasNetMobile is NASNet-A (4 @ 1056) as Keras has it.
func nasNetMobile() Backbone {
	return Backbone{
		Name:    "nasnet_mobile",
		Title:   "NASNet-Mobile",
		Paper:   "Zoph et al. 2018, arXiv:1707.07012",
		Pooled:  "pooled",
		LastMap: "head",
		Logits:  "logits",
		MinSize: 32,
		Weights: []WeightSet{
			kerasSet("imagenet", "NASNetMobile", "tensorflow/keras-applications/nasnet/NASNet-mobile.h5",
				"020fb642bf7360b370c678b08e0adf61", 74.4, 91.9, inceptionPixels(224, 256)),
		},
		variants: []variant{{
			name:    "keras",
			namings: []naming{keras(nasNetKeras)},
			build: func(b *nn.Builder, image nn.Value) {
				const repeats, channels = 4, 1056 / 24
				c := cells{unit{epsilon: 1e-3, momentum: 0.9997}}
				x := c.add(b.Scope("stem"), image, nn.Conv{Out: 32, Kernel: nn.Square(3), Stride: nn.Square(2)}, kernel.None)

				// A cell takes what the two before it made.
				before := x
				step := func(cell func(*nn.Builder, nn.Value, nn.Value, int) nn.Value, name string, channels int) {
					before, x = x, cell(b.Scope(name), x, before, channels)
				}
				step(c.reduction, "reduction_stem_1", channels/4)
				step(c.reduction, "reduction_stem_2", channels/2)
				for i := range 3 {
					if i > 0 {
						step(c.reduction, fmt.Sprintf("reduction_reduce_%d", i*repeats), channels<<i)
					}
					for j := range repeats {
						number := i*repeats + j + min(i, 1) // as in Keras, where there is no cell 4
						step(c.normal, fmt.Sprintf("normal_%d", number), channels<<i)
					}
				}
				classify(b, rectify(b, "head", x), 0)
			},
		}},
	}
}

// cells makes the cells of NASNet-A, figure 4 of the paper: x is the output of the cell before, p
// that of the one before it.
type cells struct{ unit }

func (c cells) normal(b *nn.Builder, x, p nn.Value, channels int) nn.Value {
	p = c.adjust(b.Scope("adjust"), p, x, channels)
	h := c.squeeze(b, x, channels)
	mean := nn.AveragePool{Kernel: nn.Square(3), Padding: nn.Pad(1)}

	y1 := b.Layer("add1", nn.Add{}, c.separable(b.Scope("left1"), h, channels, 5, 1), c.separable(b.Scope("right1"), p, channels, 3, 1))
	y2 := b.Layer("add2", nn.Add{}, c.separable(b.Scope("left2"), p, channels, 5, 1), c.separable(b.Scope("right2"), p, channels, 3, 1))
	y3 := b.Layer("add3", nn.Add{}, b.Layer("left3", mean, h), p)
	y4 := b.Layer("left4", mean, p)
	y4 = b.Layer("add4", nn.Add{}, y4, b.Layer("right4", mean, p))
	y5 := b.Layer("add5", nn.Add{}, c.separable(b.Scope("left5"), h, channels, 3, 1), h)
	return b.Layer("concat", nn.Concat{}, p, y1, y2, y3, y4, y5)
}

func (c cells) reduction(b *nn.Builder, x, p nn.Value, channels int) nn.Value {
	p = c.adjust(b.Scope("adjust"), p, x, channels)
	h := c.squeeze(b, x, channels)
	// Keras pads with zeros before its poolings, and so they count.
	window, stride := nn.Square(3), nn.Square(2)
	padded := b.Layer("pad", nn.ZeroPad{Margins: h.Same(window, stride)}, h)
	greatest := nn.MaxPool{Kernel: window, Stride: stride}

	y1 := b.Layer("add1", nn.Add{}, c.separable(b.Scope("left1"), h, channels, 5, 2), c.separable(b.Scope("right1"), p, channels, 7, 2))
	y2 := b.Layer("add2", nn.Add{}, b.Layer("left2", greatest, padded), c.separable(b.Scope("right2"), p, channels, 7, 2))
	y3 := b.Layer("left3", nn.AveragePool{Kernel: window, Stride: stride}, padded)
	y3 = b.Layer("add3", nn.Add{}, y3, c.separable(b.Scope("right3"), p, channels, 5, 2))
	y4 := b.Layer("mean4", nn.AveragePool{Kernel: window, Padding: nn.Pad(1)}, y1)
	y4 = b.Layer("add4", nn.Add{}, y2, y4)
	y5 := c.separable(b.Scope("left4"), y1, channels, 3, 1)
	y5 = b.Layer("add5", nn.Add{}, y5, b.Layer("right5", greatest, padded))
	return b.Layer("concat", nn.Concat{}, y2, y3, y4, y5)
}

// squeeze brings the input of a cell to its channels.
func (c cells) squeeze(b *nn.Builder, x nn.Value, channels int) nn.Value {
	return c.add(b, rectify(b, "relu", x), centred(x, channels, 1, 1), kernel.None)
}

// adjust brings p to the size of x and to the cell's channels: from a map of twice the size, one half
// of the channels comes of every second pixel, the other of those a line below and a column beside.
func (c cells) adjust(b *nn.Builder, p, x nn.Value, channels int) nn.Value {
	switch {
	case p.Name == x.Name:
		return p
	case p.Shape[1] != x.Shape[1]:
		p = rectify(b, "relu", p)
		second := nn.AveragePool{Kernel: nn.Square(1), Stride: nn.Square(2)}
		y1 := b.Layer("pool1", second, p)
		y1 = b.Layer("conv1", centred(y1, channels/2, 1, 1), y1)
		y2 := b.Layer("shift", nn.ZeroPad{Margins: nn.Padding{-1, -1, 1, 1}}, p)
		y2 = b.Layer("pool2", second, y2)
		y2 = b.Layer("conv2", centred(y2, channels/2, 1, 1), y2)
		return b.Layer("bn", c.norm(), b.Layer("concat", nn.Concat{}, y1, y2))
	case p.Shape.Channels() != channels:
		return c.add(b, rectify(b, "relu", p), centred(p, channels, 1, 1), kernel.None)
	}
	return p
}

// separable is, twice, a ReLU, a convolution of each channel by itself, one of all channels of a
// pixel, and a batch-norm.
func (c cells) separable(b *nn.Builder, x nn.Value, channels, size, stride int) nn.Value {
	for i := range 2 {
		half := b.Scope(fmt.Sprint(i + 1))
		x = rectify(half, "relu", x)
		x = half.Layer("depthwise", depthwise(same(x, x.Shape.Channels(), size, stride)), x)
		x = half.Layer("pointwise", centred(x, channels, 1, 1), x)
		x = half.Layer("bn", c.norm(), x)
		stride = 1
	}
	return x
}

// nasNetKeras gives a layer its name in Keras, where the cell's comes last: normal_5.left1.2.bn is
// separable_conv_2_bn_normal_left1_5.
func nasNetKeras(layer string) string {
	switch layer {
	case "stem.conv":
		return "stem_conv1"
	case "stem.bn":
		return "stem_bn1"
	case "logits":
		return "predictions"
	}
	cell, rest, _ := strings.Cut(layer, ".")
	kind, id, _ := strings.Cut(cell, "_")
	if op, ok := strings.CutPrefix(rest, "adjust."); ok {
		return map[string]string{
			"conv": "adjust_conv_projection_", "conv1": "adjust_conv_1_", "conv2": "adjust_conv_2_", "bn": "adjust_bn_",
		}[op] + id
	}
	parts := strings.Split(rest, ".")
	if len(parts) != 3 {
		return fmt.Sprintf("%s_%s_1_%s", kind, rest, id)
	}
	side, half, op := parts[0], parts[1], parts[2]
	if op == "bn" {
		return fmt.Sprintf("separable_conv_%s_bn_%s_%s_%s", half, kind, side, id)
	}
	return fmt.Sprintf("separable_conv_%s_%s_%s_%s/%s", half, kind, side, id, op)
}
