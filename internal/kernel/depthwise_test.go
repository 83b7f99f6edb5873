package kernel

import (
	"testing"
	"unsafe"
)

// The assembly reads a line at these offsets.
func TestDepthwiseLineOffsets(t *testing.T) {
	var x depthwiseLine
	for i, v := range []struct{ got, want uintptr }{
		{unsafe.Offsetof(x.src), 0}, {unsafe.Offsetof(x.dst), 8}, {unsafe.Offsetof(x.weights), 16}, {unsafe.Offsetof(x.limits), 24},
		{unsafe.Offsetof(x.rows), 32}, {unsafe.Offsetof(x.srcPixel), 72}, {unsafe.Offsetof(x.dstPixel), 80}, {unsafe.Offsetof(x.channels), 88},
		{unsafe.Offsetof(x.left), 96}, {unsafe.Offsetof(x.middle), 104}, {unsafe.Offsetof(x.right), 112},
		{unsafe.Offsetof(x.edgeIn), 120}, {unsafe.Offsetof(x.edgeOut), 128}, {unsafe.Offsetof(x.groupIn), 136}, {unsafe.Offsetof(x.groupOut), 144},
		{unsafe.Offsetof(x.mask), 152}, {unsafe.Offsetof(x.low), 160}, {unsafe.Offsetof(x.high), 164}, {unsafe.Offsetof(x.scratch), 168},
	} {
		if v.got != v.want {
			t.Errorf("field %d at %d, the assembly reads it at %d", i, v.got, v.want)
		}
	}
}
