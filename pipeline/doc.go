// Package pipeline is the core of tlpipe: it reads a pipeline declaration, plans
// what has to be computed, and runs it, with every stage cached separately.
//
// Terms, in the order in which they apply to a pipeline:
//
//   - A [Spec] is the YAML document as written: stages, variables, matrix.
//   - A [Kind] is what a stage's `uses` names: its parameters, its ports and a
//     constructor. The set of kinds is one explicit list passed to [Load].
//   - A [Graph] is the Spec with variables substituted, the matrix expanded,
//     parameters decoded and ports connected: the nodes that can run.
//   - A [Port] is a named input or output of a stage. Ports carry artifacts of
//     one [PortKind] and are checked before anything runs, and so are
//     [Traits]: facts about an artifact that are known before it exists.
//   - An [Artifact] is the content of a port after a run: a sequence of chunks.
//   - A chunk is the unit of work of a row-wise stage: a sequence of rows whose
//     boundaries depend on the row ids, so that inserting one row affects only
//     the chunk it falls into. A plain chunk is one blob, an Arrow IPC file. The
//     output of a row-wise stage is composed: its columns are stored in several
//     blobs, and its digest covers the values of the rows, not their location.
//   - [Columns] declares which columns of its input a row-wise stage reads. They
//     determine its output, row by row; other columns are passed on by
//     reference. A segment is a sequence of rows of a composed chunk for which
//     each column is one slice of a blob.
//   - A [Part] is a piece of a whole-table stage's work that is cached
//     separately: a phase of a training, or the result for one chunk of an input.
//   - A recipe is everything that determines an output apart from the inputs:
//     the kind and its version, canonical parameters, seed, digest of weights,
//     and the numerics of stages that compute with floats. A key is
//     the digest of a recipe and of the content of the inputs.
//   - A [Plan] says for each node whether its artifacts are in the cache, and if
//     not, why.
//
// There are two types of stage. A [RowWise] stage maps one batch of rows to
// another; its rows are split into chunks, streamed and cached chunk by chunk; a
// [Source] is a row-wise stage that lists its rows itself. A [WholeTable] stage
// sees all of its inputs at once; if its work is divided into parts, an edit that
// affects only the last of them leaves the others in the cache.
package pipeline
