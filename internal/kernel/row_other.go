//go:build !amd64

package kernel

func layerNormAssembly(isa, *normRow) bool { return false }

func layerNormBackwardAssembly(isa, *normRow) bool { return false }

func softmaxRowAssembly(isa, *softmaxRow) bool { return false }
