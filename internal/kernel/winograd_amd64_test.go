package kernel

import (
	"testing"
	"unsafe"
)

// The assembly reads a frame at these offsets.
func TestWinogradFrameOffsets(t *testing.T) {
	var x winogradFrame
	for i, v := range []struct{ got, want uintptr }{
		{unsafe.Offsetof(x.src), 0}, {unsafe.Offsetof(x.dst), 8}, {unsafe.Offsetof(x.bias), 16}, {unsafe.Offsetof(x.temporary), 24},
		{unsafe.Offsetof(x.srcLine), 32}, {unsafe.Offsetof(x.srcPixel), 40}, {unsafe.Offsetof(x.dstLine), 48}, {unsafe.Offsetof(x.dstPixel), 56},
		{unsafe.Offsetof(x.n), 64}, {unsafe.Offsetof(x.low), 72}, {unsafe.Offsetof(x.high), 76},
	} {
		if v.got != v.want {
			t.Errorf("field %d at %d, the assembly reads it at %d", i, v.got, v.want)
		}
	}
}
