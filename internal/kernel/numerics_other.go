//go:build !amd64

package kernel

func scalarInstructions() string { return "" }
