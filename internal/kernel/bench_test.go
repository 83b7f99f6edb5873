package kernel

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// shape is a layer of a network, for one image of size×size.
type shape struct {
	network string
	conv    Conv
	size    int
}

func square(in, out, kernel, stride, groups int) Conv {
	pad := (kernel - 1) / 2
	return Conv{InC: in, OutC: out, KernelH: kernel, KernelW: kernel, StrideH: stride, StrideW: stride,
		PadTop: pad, PadLeft: pad, PadBottom: pad, PadRight: pad, Groups: groups}
}

func (s shape) String() string {
	kind := ""
	if s.conv.Depthwise() {
		kind = "dw"
	}
	return fmt.Sprintf("%s/%s%dx%ds%d_%d_%d@%d", s.network, kind, s.conv.KernelH, s.conv.KernelW, s.conv.StrideH, s.conv.InC, s.conv.OutC, s.size)
}

var shapes = []shape{
	{"resnet50", square(3, 64, 7, 2, 1), 224},
	{"resnet50", square(64, 64, 1, 1, 1), 56},
	{"resnet50", square(64, 64, 3, 1, 1), 56},
	{"resnet50", square(64, 256, 1, 1, 1), 56},
	{"resnet50", square(256, 64, 1, 1, 1), 56},
	{"resnet50", square(256, 512, 1, 2, 1), 56},
	{"resnet50", square(128, 128, 3, 1, 1), 28},
	{"resnet50", square(128, 512, 1, 1, 1), 28},
	{"resnet50", square(512, 128, 1, 1, 1), 28},
	{"resnet50", square(256, 256, 3, 2, 1), 28},
	{"resnet50", square(256, 256, 3, 1, 1), 14},
	{"resnet50", square(256, 1024, 1, 1, 1), 14},
	{"resnet50", square(1024, 256, 1, 1, 1), 14},
	{"resnet50", square(512, 512, 3, 1, 1), 7},
	{"resnet50", square(512, 2048, 1, 1, 1), 7},
	{"resnet50", square(2048, 512, 1, 1, 1), 7},
	{"mobilenetv2", square(3, 32, 3, 2, 1), 224},
	{"mobilenetv2", square(32, 32, 3, 1, 32), 112},
	{"mobilenetv2", square(32, 16, 1, 1, 1), 112},
	{"mobilenetv2", square(16, 96, 1, 1, 1), 112},
	{"mobilenetv2", square(96, 96, 3, 2, 96), 112},
	{"mobilenetv2", square(96, 24, 1, 1, 1), 56},
	{"mobilenetv2", square(24, 144, 1, 1, 1), 56},
	{"mobilenetv2", square(144, 144, 3, 1, 144), 56},
	{"mobilenetv2", square(144, 24, 1, 1, 1), 56},
	{"mobilenetv2", square(32, 192, 1, 1, 1), 28},
	{"mobilenetv2", square(192, 192, 3, 1, 192), 28},
	{"mobilenetv2", square(192, 32, 1, 1, 1), 28},
	{"mobilenetv2", square(64, 384, 1, 1, 1), 14},
	{"mobilenetv2", square(384, 384, 3, 1, 384), 14},
	{"mobilenetv2", square(576, 96, 1, 1, 1), 14},
	{"mobilenetv2", square(960, 960, 3, 1, 960), 7},
	{"mobilenetv2", square(160, 960, 1, 1, 1), 7},
	{"mobilenetv2", square(960, 320, 1, 1, 1), 7},
	{"mobilenetv2", square(320, 1280, 1, 1, 1), 7},
	{"efficientnetlite0", square(144, 144, 5, 2, 144), 56},
	{"efficientnetlite0", square(240, 240, 5, 1, 240), 28},
	{"efficientnetlite0", square(240, 40, 1, 1, 1), 28},
	{"efficientnetlite0", square(40, 240, 1, 1, 1), 28},
	{"efficientnetlite0", square(480, 80, 1, 1, 1), 14},
	{"efficientnetlite0", square(80, 480, 1, 1, 1), 14},
	{"efficientnetlite0", square(672, 672, 5, 1, 672), 14},
	{"efficientnetlite0", square(672, 112, 1, 1, 1), 14},
	{"efficientnetlite0", square(1152, 1152, 5, 1, 1152), 7},
	{"efficientnetlite0", square(1152, 192, 1, 1, 1), 7},
	{"efficientnetlite0", square(192, 1152, 1, 1, 1), 7},
}

// BenchmarkConv reports the speed of layers, forward, at batch 1 and 8 and with one and two threads.
func BenchmarkConv(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, s := range shapes {
		weights := fill(r, make([]float32, s.conv.WeightSize()))
		p, err := PackConv(s.conv, weights, make([]float32, s.conv.OutC))
		if err != nil {
			b.Fatal(err)
		}
		for _, batch := range []int{1, 8} {
			oh, ow := s.conv.OutSize(s.size, s.size)
			src := fill(r, make([]float32, batch*s.size*s.size*s.conv.InC))
			dst := make([]float32, batch*oh*ow*s.conv.OutC)
			for _, threads := range []int{1, 2} {
				b.Run(fmt.Sprintf("%v/batch%d/threads%d", s, batch, threads), func(b *testing.B) {
					pool := NewPool(threads)
					defer pool.Close()
					var w Workspace
					for b.Loop() {
						p.Run(pool, dst, src, batch, s.size, s.size, nil, ReLU6, &w)
					}
					b.ReportMetric(float64(s.conv.FLOPs(s.size, s.size))*float64(batch)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
				})
			}
		}
	}
}

// inverted adds the layers of an inverted residual block.
func inverted(all []shape, name string, in, out, expand, kernel, stride, size int) ([]shape, int) {
	middle := in * expand
	if expand > 1 {
		all = append(all, shape{name, square(in, middle, 1, 1, 1), size})
	}
	all = append(all, shape{name, square(middle, middle, kernel, stride, middle), size})
	size = (size-1)/stride + 1
	return append(all, shape{name, square(middle, out, 1, 1, 1), size}), size
}

// networks lists the convolutions of whole networks at 224 px.
func networks() map[string][]shape {
	all := map[string][]shape{}
	for name, blocks := range map[string][][5]int{ // expansion, kernel, stride, channels, repeats
		"mobilenetv2":       {{1, 3, 1, 16, 1}, {6, 3, 2, 24, 2}, {6, 3, 2, 32, 3}, {6, 3, 2, 64, 4}, {6, 3, 1, 96, 3}, {6, 3, 2, 160, 3}, {6, 3, 1, 320, 1}},
		"efficientnetlite0": {{1, 3, 1, 16, 1}, {6, 3, 2, 24, 2}, {6, 5, 2, 40, 2}, {6, 3, 2, 80, 3}, {6, 5, 1, 112, 3}, {6, 5, 2, 192, 4}, {6, 3, 1, 320, 1}},
	} {
		layers := []shape{{name, square(3, 32, 3, 2, 1), 224}}
		in, size := 32, 112
		for _, b := range blocks {
			for i := range b[4] {
				stride := 1
				if i == 0 {
					stride = b[2]
				}
				layers, size = inverted(layers, name, in, b[3], b[0], b[1], stride, size)
				in = b[3]
			}
		}
		all[name] = append(layers, shape{name, square(320, 1280, 1, 1, 1), 7})
	}
	const name = "resnet50"
	layers := []shape{{name, square(3, 64, 7, 2, 1), 224}}
	in, size := 64, 56
	for i, repeats := range []int{3, 4, 6, 3} {
		width := 64 << i
		for j := range repeats {
			stride := 1
			if j == 0 && i > 0 {
				stride = 2
			}
			layers = append(layers, shape{name, square(in, width, 1, 1, 1), size}, shape{name, square(width, width, 3, stride, 1), size})
			if j == 0 {
				layers = append(layers, shape{name, square(in, 4*width, 1, stride, 1), size})
			}
			size /= stride
			layers = append(layers, shape{name, square(width, 4*width, 1, 1, 1), size})
			in = 4 * width
		}
	}
	all[name] = layers
	return all
}

// BenchmarkNetwork runs the convolutions of a network one after the other, each on the output of the
// one before (of the right size, if not of the right place), and reports images a second: layer by
// layer over the batch, and with each thread taking images of its own.
func BenchmarkNetwork(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for name, layers := range networks() {
		var packed []*PackedConv
		largest := 0
		for _, s := range layers {
			p, err := PackConvFor(s.conv, fill(r, make([]float32, s.conv.WeightSize())), make([]float32, s.conv.OutC),
				PackOptions{N: 1, H: s.size, W: s.size})
			if err != nil {
				b.Fatal(err)
			}
			packed = append(packed, p)
			oh, ow := s.conv.OutSize(s.size, s.size)
			largest = max(largest, s.size*s.size*s.conv.InC, oh*ow*s.conv.OutC)
		}
		b.Run(name+"/batch8/apart", func(b *testing.B) {
			var buffers [2][2][]float32
			for i := range buffers {
				buffers[i] = [2][]float32{fill(r, make([]float32, largest)), make([]float32, largest)}
			}
			for b.Loop() {
				var group sync.WaitGroup
				for thread := range 2 {
					group.Go(func() {
						x, y := buffers[thread][0], buffers[thread][1]
						var w Workspace
						for range 4 {
							for i, p := range packed {
								s := layers[i].size
								p.Run(nil, y, x, 1, s, s, nil, ReLU6, &w)
								x, y = y, x
							}
						}
					})
				}
				group.Wait()
			}
			b.ReportMetric(8*float64(b.N)/b.Elapsed().Seconds(), "images/s")
		})
		for _, batch := range []int{1, 8} {
			x, y := fill(r, make([]float32, batch*largest)), make([]float32, batch*largest)
			for _, threads := range []int{1, 2} {
				b.Run(fmt.Sprintf("%s/batch%d/threads%d", name, batch, threads), func(b *testing.B) {
					pool := NewPool(threads)
					defer pool.Close()
					var w Workspace
					for b.Loop() {
						for i, p := range packed {
							s := layers[i].size
							p.Run(pool, y, x, batch, s, s, nil, ReLU6, &w)
							x, y = y, x
						}
					}
					b.ReportMetric(float64(batch)*float64(b.N)/b.Elapsed().Seconds(), "images/s")
				})
			}
		}
	}
}

// BenchmarkConvBackward reports the speed of both gradients of layers at batch 8, with one thread.
func BenchmarkConvBackward(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	const batch = 8
	for i, s := range shapes {
		if i%2 == 1 {
			continue // every other shape will do
		}
		weights := fill(r, make([]float32, s.conv.WeightSize()))
		p, err := PackConvGradient(s.conv, weights)
		if err != nil {
			b.Fatal(err)
		}
		oh, ow := s.conv.OutSize(s.size, s.size)
		src := fill(r, make([]float32, batch*s.size*s.size*s.conv.InC))
		dst := fill(r, make([]float32, batch*oh*ow*s.conv.OutC))
		var w Workspace
		report := func(b *testing.B) {
			b.ReportMetric(float64(s.conv.FLOPs(s.size, s.size))*batch*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
		}
		b.Run(s.String()+"/data", func(b *testing.B) {
			for b.Loop() {
				p.Run(nil, src, dst, batch, s.size, s.size, nil, None, &w)
			}
			report(b)
		})
		b.Run(s.String()+"/weights", func(b *testing.B) {
			for b.Loop() {
				if err := ConvBackwardWeights(nil, s.conv, weights, nil, src, dst, batch, s.size, s.size, &w); err != nil {
					b.Fatal(err)
				}
			}
			report(b)
		})
	}
}

// BenchmarkWinograd compares the ways to compute 3×3 convolutions, with one thread; the rate is that
// of the plain convolution's operations.
func BenchmarkWinograd(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, s := range []shape{
		{"resnet50", square(64, 64, 3, 1, 1), 56}, {"resnet50", square(128, 128, 3, 1, 1), 28},
		{"resnet50", square(256, 256, 3, 1, 1), 14}, {"resnet50", square(512, 512, 3, 1, 1), 7},
		{"vgg16", square(64, 64, 3, 1, 1), 224}, {"vgg16", square(128, 128, 3, 1, 1), 112},
		{"vgg16", square(256, 256, 3, 1, 1), 56}, {"vgg16", square(512, 512, 3, 1, 1), 28},
		{"densenet121", square(128, 32, 3, 1, 1), 28},
	} {
		weights := fill(r, make([]float32, s.conv.WeightSize()))
		for _, batch := range []int{1, 8} {
			src := fill(r, make([]float32, batch*s.size*s.size*s.conv.InC))
			dst := make([]float32, batch*s.size*s.size*s.conv.OutC)
			for algorithm, name := range map[Algorithm]string{Plain: "plain", Winograd2: "F2", Winograd4: "F4"} {
				p, err := PackConvFor(s.conv, weights, nil, PackOptions{Algorithm: algorithm})
				if err != nil {
					b.Fatal(err)
				}
				b.Run(fmt.Sprintf("%v/batch%d/%s", s, batch, name), func(b *testing.B) {
					var w Workspace
					for b.Loop() {
						p.Run(nil, dst, src, batch, s.size, s.size, nil, ReLU, &w)
					}
					b.ReportMetric(float64(s.conv.FLOPs(s.size, s.size))*float64(batch)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
				})
			}
		}
	}
}

// BenchmarkPack reports the time to pack the largest 3×3 convolution of ResNet50.
func BenchmarkPack(b *testing.B) {
	c := square(512, 512, 3, 1, 1)
	weights := make([]float32, c.WeightSize())
	for algorithm, name := range map[Algorithm]string{Plain: "plain", Winograd2: "F2", Winograd4: "F4"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := PackConvFor(c, weights, nil, PackOptions{Algorithm: algorithm}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReduced runs the convolutions of ResNet50 at batch 8 in float32, bfloat16 and bytes, with
// one thread, and reports images a second.
func BenchmarkReduced(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	const batch = 8
	layers := networks()["resnet50"]
	largest := 0
	for _, s := range layers {
		oh, ow := s.conv.OutSize(s.size, s.size)
		largest = max(largest, s.size*s.size*4*ceilDiv(s.conv.InC, 4), oh*ow*s.conv.OutC)
	}
	q := Quantization{Scale: 0.05, Zero: 10}
	var w Workspace
	var half []*PackedConvBFloat16
	var quarter []*PackedConvInt8
	for i := range layers {
		c := &layers[i].conv
		c.InC = roundUp(c.InC, 4)
		weights := fill(r, make([]float32, c.WeightSize()))
		h, err := PackConvBFloat16(*c, weights, nil)
		if err != nil {
			b.Fatal(err)
		}
		p, err := PackConvInt8(*c, weights, nil, Int8Options{Input: q, Output: q})
		if err != nil {
			b.Fatal(err)
		}
		half, quarter = append(half, h), append(quarter, p)
	}
	run := func(name string, layer func(i int)) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				for i := range layers {
					layer(i)
				}
			}
			b.ReportMetric(batch*float64(b.N)/b.Elapsed().Seconds(), "images/s")
		})
	}
	x, y := make([]BFloat16, batch*largest), make([]BFloat16, batch*largest)
	run("bfloat16", func(i int) {
		half[i].Run(nil, y, x, batch, layers[i].size, layers[i].size, nil, ReLU, &w)
		x, y = y, x
	})
	u, v := make([]uint8, batch*largest), make([]uint8, batch*largest)
	run("int8", func(i int) {
		quarter[i].Run(nil, v, u, batch, layers[i].size, layers[i].size, nil, ReLU, &w)
		u, v = v, u
	})
}

// BenchmarkOps reports the memory traffic, reads and writes together, of what is not a convolution,
// with one thread, on 56×56×64 numbers.
func BenchmarkOps(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	const h, w, c = 56, 56, 64
	const n = h * w * c
	x, y, z := fill(r, make([]float32, n)), fill(r, make([]float32, n)), make([]float32, n)
	g, s, m, v := fill(r, make([]float32, c)), fill(r, make([]float32, c)), make([]float32, c), make([]float32, c)
	p := Pooling{KernelH: 3, KernelW: 3, StrideH: 2, StrideW: 2, PadTop: 1, PadLeft: 1, PadBottom: 1, PadRight: 1}
	bench := func(name string, tensors float64, f func()) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				f()
			}
			b.ReportMetric(4*n*tensors*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GB/s")
		})
	}
	for _, act := range activations[1:] {
		bench("activate/"+act.String(), 2, func() { Activate(nil, z, x, act) })
		bench("backward/"+act.String(), 3, func() { ActivateBackward(nil, z, x, y, act) })
	}
	bench("add", 3, func() { Add(nil, z, x, y, ReLU) })
	bench("scaleshift", 2, func() { ScaleShift(nil, z, x, g, s, h*w, c, ReLU) })
	bench("mulchannels", 2, func() { MulChannels(nil, z, x, g, 1, h*w, c) })
	bench("batchnorm", 4, func() { BatchNorm(nil, z, m, v, x, g, s, 1e-5, h*w, c, None) })
	bench("batchnormbackward", 7, func() { BatchNormBackward(nil, z, m, v, x, y, g, s, s, 1e-5, h*w, c) })
	bench("maxpool", 1.25, func() { MaxPool(nil, p, z, x, 1, h, w, c) })
	bench("maxpoolbackward", 2.25, func() { MaxPoolBackward(nil, p, z, y, x, 1, h, w, c) })
	bench("avgpool", 1.25, func() { AvgPool(nil, p, z, x, 1, h, w, c) })
	bench("globalavgpool", 1, func() { GlobalAvgPool(nil, z, x, 1, h*w, c) })
	bench("softmax", 2, func() { Softmax(nil, z, x, h*w, c) })
	bench("layernorm", 2, func() { LayerNorm(nil, z, nil, nil, x, g, s, 1e-5, h*w, c) })
}

// BenchmarkDense reports the rate at which dense layers read their weights, at batch 1.
func BenchmarkDense(b *testing.B) {
	for _, v := range []struct{ in, out int }{{96, 4}, {4, 96}, {2048, 1000}, {4096, 4096}} {
		d, err := PackDense(v.in, v.out, make([]float32, v.in*v.out), nil)
		if err != nil {
			b.Fatal(err)
		}
		src, dst := make([]float32, v.in), make([]float32, v.out)
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%d_%d/threads%d", v.in, v.out, threads), func(b *testing.B) {
				pool := NewPool(threads)
				defer pool.Close()
				var w Workspace
				for b.Loop() {
					d.Run(pool, dst, src, 1, ReLU, &w)
				}
				b.ReportMetric(4*float64(v.in*v.out)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GB/s")
			})
		}
	}
}
