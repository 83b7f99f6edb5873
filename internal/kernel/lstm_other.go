//go:build !amd64

package kernel

func (*lstmToken) forward(isa) bool { return false }

func (*lstmToken) backward(isa) bool { return false }
