// Package nntest holds what tests of networks share: random networks, weights that are not trivial,
// and an interpreter that computes a network layer by layer in float64, as its definition reads.
package nntest
