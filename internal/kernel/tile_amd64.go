package kernel

//go:generate go run -C asm . -dir ..

// The micro-kernels, by rows.
var (
	wideAVX512 = [...]func(*tile){nil,
		tile1x32AVX512, tile2x32AVX512, tile3x32AVX512, tile4x32AVX512, tile5x32AVX512, tile6x32AVX512, tile7x32AVX512,
		tile8x32AVX512, tile9x32AVX512, tile10x32AVX512, tile11x32AVX512, tile12x32AVX512, tile13x32AVX512, tile14x32AVX512}
	narrowAVX512 = [...]func(*tile){nil,
		tile1x16AVX512, tile2x16AVX512, tile3x16AVX512, tile4x16AVX512, tile5x16AVX512, tile6x16AVX512, tile7x16AVX512,
		tile8x16AVX512, tile9x16AVX512, tile10x16AVX512, tile11x16AVX512, tile12x16AVX512, tile13x16AVX512, tile14x16AVX512}
	wideAVX2 = [...]func(*tile){nil,
		tile1x16AVX2, tile2x16AVX2, tile3x16AVX2, tile4x16AVX2, tile5x16AVX2, tile6x16AVX2}
)

// tileWide computes m rows in panels of panelColumns.
func tileWide(set isa, m int, t *tile) {
	switch set {
	case avx512:
		wideAVX512[m](t)
	case avx2:
		wideAVX2[m](t)
	default:
		tilePortable(m, t)
	}
}

// tileNarrow computes m rows in one panel of narrowColumns.
func tileNarrow(set isa, m int, t *tile) {
	if set == avx512 {
		narrowAVX512[m](t)
	} else {
		tileWide(set, m, t)
	}
}
