// Package segment puts rows together whose columns rest in several blobs, and
// reads them back.
//
// The words are those of package cache: a [cache.Segment] is a run of rows whose
// columns lie side by side; a [cache.Slice] is some of these columns, in one
// blob; a composed chunk is several segments, known by the digest of what its
// rows say. Nothing here knows of stages or recipes.
package segment
