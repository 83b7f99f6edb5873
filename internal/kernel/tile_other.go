//go:build !amd64

package kernel

func tileWide(_ isa, m int, t *tile)   { tilePortable(m, t) }
func tileNarrow(_ isa, m int, t *tile) { tilePortable(m, t) }
