//go:build !amd64

package kernel

func tileWide(_ isa, m int, t *tile) {
	if t.kind == elementUint8 {
		tileUint8Portable(m, t)
		return
	}
	tilePortable(m, t)
}

func tileNarrow(set isa, m int, t *tile) { tileWide(set, m, t) }
