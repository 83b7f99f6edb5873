//go:build !amd64

package kernel

func detect() isa { return portable }
