//go:build !amd64

package kernel

func (t rowsTask) assembly(isa, rowsOperation) int { return 0 }

func (t *rowProductsTask) assembly(isa) bool { return false }
