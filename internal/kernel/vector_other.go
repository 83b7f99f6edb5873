//go:build !amd64

package kernel

func (s *sweep) assembly(isa, operation) bool { return false }
