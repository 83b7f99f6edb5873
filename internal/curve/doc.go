// Package curve draws what a learning-rate range test found: in letters, for a terminal, and as an SVG
// or PNG file.
package curve
