// Package memory lets values that are not in use at the same time share memory.
package memory
