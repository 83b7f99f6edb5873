//go:build !amd64

package sample

const hasVectors = false

func weighAVX2(out *int16, own, near *uint8, n int)                            { unreachable() }
func doubleAVX2(out *uint8, sums *int16, n int, even, odd int16, shift uint64) { unreachable() }
func rgbAVX2(out, luma, cb, cr *uint8, n int)                                  { unreachable() }
func acrossAVX2(out, row *uint8, spans *Span, weights *int32, n, left int)     { unreachable() }
func downAVX2(out, rows *uint8, weights *int32, n, stride, count int)          { unreachable() }
func inverseAVX2(out *uint8, stride int, coefficients *[64]int32)              { unreachable() }
func unreachable()                                                             { panic("sample: there is no assembly for this processor") }
