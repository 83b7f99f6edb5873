//go:build !amd64

package kernel

func (t *winogradTile) assembly(isa, int, winogradStep) bool { return false }
