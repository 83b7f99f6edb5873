// Package render makes pictures look as if they came from elsewhere: drawn in pencil, inverted, seen by a thermal camera, taken
// by a bad camera. It gives a data set a second domain on which to measure how a model bears a change of domain, with the same
// objects and known classes.
//
// A [Look] is what is done, each effect with its strength. The result depends on the look and the pixels alone: the noise too.
// All arithmetic is in integers, so that it is the same on every machine.
package render
