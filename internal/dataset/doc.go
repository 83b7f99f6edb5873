// Package dataset is where rows come from: it lists the pictures of folders,
// CSV files, Parquet files, tar archives, IDX files and the built-in set, and
// reads the bytes of any one of them later.
//
// The words:
//
//   - A [Source] is one place of one format. [Folder], [CSV], [Parquet], [Tar],
//     [IDX] and [Emoji] are sources.
//   - A [Row] is one picture before it is read: an id, the digest of its bytes,
//     label, split, domain, further columns, and its [Location].
//   - A [Part] is a source with what the pipeline says of all of its rows: a
//     domain, a label, a limit.
//   - A [Table] is the rows of all parts together.
//   - A [Reader] reads pictures by location. What it reads is held against
//     the digest that was listed: see [ErrChanged].
//
// Whole files are digested by the cache's stat index, so that listing an
// unchanged folder costs one stat a file. Archives are indexed once and the
// index is kept by the archive's content.
//
// What cannot be used (an empty file, a link to nowhere, a row without a
// picture) becomes a reject with a reason; what is wrong with a source as a
// whole is an error.
package dataset
