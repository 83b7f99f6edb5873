// Package calibration finds the ranges of numbers in a backbone, which arithmetic on bytes has to know
// beforehand, on pictures that are part of this program.
//
// The pictures are some of the built-in emoji, for objects with outlines on a plain background, and
// dead leaves, for what photographs are like: discs of random colours that cover each other, whose sizes
// follow a power law, so that their spectrum, edges and contrasts are those of natural images (Lee,
// Mumford and Huang 2001, Occlusion models for natural images). That they are fixed makes the ranges a
// function of the weights alone: the features of a picture do not depend on the others, and whoever
// recalls a backbone by its recipe gets the same.
package calibration
