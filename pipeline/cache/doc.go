// Package cache is a content-addressed store on disk for the results of
// stages.
//
// Terms:
//
//   - A blob is a file named by the SHA-256 of its bytes.
//   - A [Preimage] is the ordered list of named values that determine a result; its
//     [Preimage.Digest] is a key. Recipes are pre-images that many entries share.
//   - An [Entry] maps a key to the blobs of a result. It is written last, so
//     that a result is either complete or absent.
//   - The latest record of a pipeline lists what its most recent run used: garbage
//     collection keeps it, and plans compare with it.
//   - The stat index stores the digests of source files by size, times,
//     inode and device.
//
// On disk, under the cache's folder:
//
//	blobs/ab/abcd…       entries/ab/abcd…     recipes/ab/abcd…
//	checkpoints/KEY      latest/PIPELINE      runs/RUN/…
//	stat/…               locks/…                       tmp/…
//
// Files are written to tmp/, synced, renamed and their folder synced. A blob
// is verified whenever it is read, and so are entries, recipes and latest
// records, which hold a digest of their own; one that does not match, or that
// is not a regular file, is removed and reported as [ErrCorrupt], which callers
// treat as a miss. A file that cannot be read for another reason is kept. Two processes may share a
// cache: work on a key is guarded by a file lock that ends with its process.
package cache
