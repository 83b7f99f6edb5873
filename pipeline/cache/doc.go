// Package cache is a content-addressed store on disk for the results of
// stages.
//
// The words:
//
//   - A blob is a file named by the SHA-256 of its bytes.
//   - A [Preimage] is the ordered list of named facts that decide a result; its
//     [Preimage.Digest] is a key. Recipes are pre-images that many entries share.
//   - An [Entry] maps a key to the blobs of a result. It is written last, so
//     that a result either is there whole or is not there.
//   - The latest record of a pipeline keeps what its newest run used, which is
//     what garbage collection holds on to and what plans compare with.
//   - The stat index remembers the digests of source files by size, times,
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
// records, which hold a digest of their own; one that is wrong, or that is no
// file at all, is removed and reported as [ErrCorrupt], which callers take as a
// miss. A file that cannot be read for another reason stays. Two processes may share a
// cache: work on a key is guarded by a file lock that ends with its process.
package cache
