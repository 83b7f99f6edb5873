// Package weights holds the pre-trained weights built into tlpipe, as files and nothing more:
// internal/backbone reads them. README.md says where they come from and what they expect.
package weights
