//go:build !amd64

package kernel

func (t *adamTask) assembly(isa) int { return 0 }
