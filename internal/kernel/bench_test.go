package kernel

import (
	"fmt"
	"math/rand/v2"
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
