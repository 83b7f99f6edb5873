// Package store keeps files of weights in a folder of the user's: each once, under the SHA-256 of its
// content, and beside them where each is from.
//
//	files/SHA256     the files
//	sources/KEY      JSON: an address, and the SHA-256 of what it gave; KEY is made of the address
//	parts/KEY        a file on its way (package fetch)
//	locks/KEY        held while an address is being fetched
//
// A file is there whole or not at all, and no process waits for another but to have the same file
// fetched once. What is there may be read by a store that cannot be written.
package store
