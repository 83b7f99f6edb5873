// Package exec is the stage that runs a program of the user's, in any language: on each row, or on a table as a whole.
// Tables go in and come out as Arrow IPC streams over standard input and output (package internal/program; docs/exec.md).
//
// It stands with preprocess because what it makes are columns. Rows are cut, cached, resumed and rejected as those of every
// row-wise stage; one process a worker answers chunk after chunk. The recipe is the command line, the parameters, the
// declared columns, the digests of the files named and the version that the user gives; how the program is run is no part.
package exec
