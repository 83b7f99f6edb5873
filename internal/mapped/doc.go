// Package mapped gives the bytes of a file as memory. Where the system can, the file is mapped: what
// is not looked at is not read. A file that somebody shortens meanwhile makes a fault, which [Guard]
// turns into an error.
package mapped
