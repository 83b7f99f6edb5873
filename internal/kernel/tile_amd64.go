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
	wideBFloat16 = [...]func(*tile){nil,
		tile1x32AVX512BF16, tile2x32AVX512BF16, tile3x32AVX512BF16, tile4x32AVX512BF16, tile5x32AVX512BF16, tile6x32AVX512BF16, tile7x32AVX512BF16,
		tile8x32AVX512BF16, tile9x32AVX512BF16, tile10x32AVX512BF16, tile11x32AVX512BF16, tile12x32AVX512BF16, tile13x32AVX512BF16, tile14x32AVX512BF16}
	narrowBFloat16 = [...]func(*tile){nil,
		tile1x16AVX512BF16, tile2x16AVX512BF16, tile3x16AVX512BF16, tile4x16AVX512BF16, tile5x16AVX512BF16, tile6x16AVX512BF16, tile7x16AVX512BF16,
		tile8x16AVX512BF16, tile9x16AVX512BF16, tile10x16AVX512BF16, tile11x16AVX512BF16, tile12x16AVX512BF16, tile13x16AVX512BF16, tile14x16AVX512BF16}
	wideUint8 = [...]func(*tile){nil,
		tile1x32AVX512U8, tile2x32AVX512U8, tile3x32AVX512U8, tile4x32AVX512U8, tile5x32AVX512U8, tile6x32AVX512U8, tile7x32AVX512U8,
		tile8x32AVX512U8, tile9x32AVX512U8, tile10x32AVX512U8, tile11x32AVX512U8, tile12x32AVX512U8, tile13x32AVX512U8, tile14x32AVX512U8}
	narrowUint8 = [...]func(*tile){nil,
		tile1x16AVX512U8, tile2x16AVX512U8, tile3x16AVX512U8, tile4x16AVX512U8, tile5x16AVX512U8, tile6x16AVX512U8, tile7x16AVX512U8,
		tile8x16AVX512U8, tile9x16AVX512U8, tile10x16AVX512U8, tile11x16AVX512U8, tile12x16AVX512U8, tile13x16AVX512U8, tile14x16AVX512U8}
	wideAVX2 = [...]func(*tile){nil,
		tile1x16AVX2, tile2x16AVX2, tile3x16AVX2, tile4x16AVX2, tile5x16AVX2, tile6x16AVX2}
	narrowAVX2 = [...]func(*tile){nil,
		tile1x8AVX2, tile2x8AVX2, tile3x8AVX2, tile4x8AVX2, tile5x8AVX2, tile6x8AVX2}
	narrowHalfAVX2 = [...]func(*tile){nil,
		tile1x8AVX2Half, tile2x8AVX2Half, tile3x8AVX2Half, tile4x8AVX2Half, tile5x8AVX2Half, tile6x8AVX2Half}
	narrowUint8AVX2 = [...]func(*tile){nil,
		tile1x8AVX2U8, tile2x8AVX2U8, tile3x8AVX2U8, tile4x8AVX2U8, tile5x8AVX2U8, tile6x8AVX2U8}
	halfAVX2 = [...]func(*tile){nil,
		tile1x16AVX2Half, tile2x16AVX2Half, tile3x16AVX2Half, tile4x16AVX2Half, tile5x16AVX2Half, tile6x16AVX2Half}
	uint8AVX2 = [...]func(*tile){nil,
		tile1x16AVX2U8, tile2x16AVX2U8, tile3x16AVX2U8, tile4x16AVX2U8, tile5x16AVX2U8, tile6x16AVX2U8}
)

// tileWide computes m rows in panels of panelColumns.
func tileWide(set isa, m int, t *tile) {
	switch {
	case t.kind == elementBFloat16:
		wideBFloat16[m](t)
	case t.kind == elementUint8 && set == avx512:
		wideUint8[m](t)
	case t.kind == elementUint8 && set == avx2:
		uint8AVX2[m](t)
	case t.kind == elementHalf:
		halfAVX2[m](t)
	case set == avx512:
		wideAVX512[m](t)
	case set == avx2:
		wideAVX2[m](t)
	case t.kind == elementUint8:
		tileUint8Portable(m, t)
	default:
		tilePortable(m, t)
	}
}

// tileNarrow computes m rows in one panel of narrowColumns.
func tileNarrow(set isa, m int, t *tile) {
	switch {
	case t.kind == elementBFloat16:
		narrowBFloat16[m](t)
	case t.kind == elementHalf:
		narrowHalfAVX2[m](t)
	case t.kind == elementUint8 && set == avx512:
		narrowUint8[m](t)
	case t.kind == elementUint8 && set == avx2:
		narrowUint8AVX2[m](t)
	case set == avx512:
		narrowAVX512[m](t)
	case set == avx2:
		narrowAVX2[m](t)
	default:
		tileWide(set, m, t)
	}
}
