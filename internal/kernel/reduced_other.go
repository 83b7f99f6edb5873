//go:build !amd64

package kernel

func roundBFloat16Assembly(isa, []BFloat16, []float32) bool { return false }

func pairBFloat16Assembly(isa, []float32, []float32, []float32) bool { return false }

func expandBFloat16Assembly(isa, []float32, []BFloat16) bool { return false }

func quantizeAssembly(isa, []uint8, []float32, float32, float32) int { return 0 }

func dequantizeAssembly(isa, []float32, []uint8, float32, float32) int { return 0 }

func roundFloat16Assembly(isa, []float16, []float32) int { return 0 }

func expandFloat16Assembly(isa, []float32, []float16) int { return 0 }

func quantizeThreesAssembly(isa, []uint8, []float32, float32, float32) bool { return false }

func roundThreesBFloat16Assembly(isa, []BFloat16, []float32) bool { return false }

func extremesAssembly(isa, []float32) (low, high, finite float32, n int) { return 0, 0, 0, 0 }
