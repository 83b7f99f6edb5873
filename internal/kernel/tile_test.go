package kernel

import (
	"testing"
	"unsafe"
)

// The assembly reads a tile at these offsets.
func TestTileOffsets(t *testing.T) {
	var x tile
	for i, v := range []struct{ got, want uintptr }{
		{unsafe.Offsetof(x.a), 0}, {unsafe.Offsetof(x.b), 24}, {unsafe.Offsetof(x.c), 48}, {unsafe.Offsetof(x.r), 72},
		{unsafe.Offsetof(x.bias), 96}, {unsafe.Offsetof(x.taps), 120}, {unsafe.Offsetof(x.run), 144},
		{unsafe.Offsetof(x.a0), 152}, {unsafe.Offsetof(x.a1), 160}, {unsafe.Offsetof(x.aRow), 168},
		{unsafe.Offsetof(x.b0), 176}, {unsafe.Offsetof(x.bPanel), 184},
		{unsafe.Offsetof(x.c0), 192}, {unsafe.Offsetof(x.c1), 200}, {unsafe.Offsetof(x.cRow), 208},
		{unsafe.Offsetof(x.r0), 216}, {unsafe.Offsetof(x.r1), 224}, {unsafe.Offsetof(x.rRow), 232},
		{unsafe.Offsetof(x.bias0), 240}, {unsafe.Offsetof(x.n), 248}, {unsafe.Offsetof(x.low), 256}, {unsafe.Offsetof(x.high), 260},
		{unsafe.Offsetof(x.scale), 264}, {unsafe.Offsetof(x.shift), 288}, {unsafe.Offsetof(x.rScale), 312},
	} {
		if v.got != v.want {
			t.Errorf("field %d at %d, the assembly reads it at %d", i, v.got, v.want)
		}
	}
}
