// Package digest tells what a file's content is: by its SHA-256, and by what its publisher says
// of it.
package digest
