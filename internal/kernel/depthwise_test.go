package kernel

import (
	"testing"
	"unsafe"
)

// The assembly reads a line at these offsets.
func TestDepthwiseLineOffsets(t *testing.T) {
	var x depthwiseLine
	for i, v := range []struct{ got, want uintptr }{
		{unsafe.Offsetof(x.src), 0}, {unsafe.Offsetof(x.dst), 8}, {unsafe.Offsetof(x.weights), 16}, {unsafe.Offsetof(x.bias), 24},
		{unsafe.Offsetof(x.limits), 32}, {unsafe.Offsetof(x.rows), 40}, {unsafe.Offsetof(x.srcPixel), 80}, {unsafe.Offsetof(x.dstPixel), 88},
		{unsafe.Offsetof(x.weightRow), 96}, {unsafe.Offsetof(x.channels), 104},
		{unsafe.Offsetof(x.left), 112}, {unsafe.Offsetof(x.middle), 120}, {unsafe.Offsetof(x.right), 128},
		{unsafe.Offsetof(x.low), 136}, {unsafe.Offsetof(x.high), 140}, {unsafe.Offsetof(x.at), 144},
	} {
		if v.got != v.want {
			t.Errorf("field %d at %d, the assembly reads it at %d", i, v.got, v.want)
		}
	}
}
