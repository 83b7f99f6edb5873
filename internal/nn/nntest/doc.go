// Package nntest has helpers for tests of networks: random networks, non-trivial weights,
// and a reference interpreter that computes a network layer by layer in float64.
package nntest
