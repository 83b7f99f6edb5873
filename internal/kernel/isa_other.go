//go:build !amd64

package kernel

func detect() isa { return portable }

// multiplies tells whether the set multiplies elements as they are.
func (s isa) multiplies(e element) bool { return e == elementFloat32 }

func features() []Feature { return nil }
