// Package pipeline is the heart of tlpipe: it reads a declared pipeline, plans
// what has to be computed, and runs it, every stage cached on its own.
//
// The words, in the order in which a pipeline meets them:
//
//   - A [Spec] is the YAML document as written: stages, variables, matrix.
//   - A [Kind] is what a stage's `uses` names: its parameters, its ports and a
//     constructor. The set of kinds is one explicit list handed to [Load].
//   - A [Graph] is the Spec with variables filled in, the matrix multiplied
//     out, parameters decoded and ports connected: the nodes that can run.
//   - A [Port] is a named input or output of a stage. Ports carry artifacts of
//     one [PortKind] and are checked before anything runs, and so are
//     [Traits]: facts about an artifact that are known before it exists.
//   - An [Artifact] is what a port holds after a run: a sequence of chunks.
//   - A chunk is the unit of work of a row-wise stage: a run of rows whose ends
//     are chosen by their ids, so that inserting one row disturbs only the
//     chunk it falls into. A plain chunk is one blob, an Arrow IPC file. What a
//     row-wise stage gives is composed: its columns lie in several blobs, and
//     its digest is of what the rows say, wherever they rest.
//   - [Columns] tells which columns of its input a row-wise stage reads. They
//     decide, row by row, what it makes; other columns are passed on by
//     reference. A segment is a run of rows of a composed chunk whose columns
//     lie side by side, each a slice of a blob.
//   - A [Part] is a piece of a whole-table stage's work that is cached on its
//     own: a phase of a training, what one chunk of an input becomes.
//   - A recipe is all that decides an output apart from the inputs: the kind
//     and its version, canonical parameters, seed, digest of weights, and the
//     numerics of stages that compute with floats. A key is
//     the digest of a recipe and of the content of the inputs.
//   - A [Plan] says for each node whether its artifacts are at hand, and if
//     not, why.
//
// Stages come in two sorts. A [RowWise] stage maps one batch of rows to
// another and is cut into chunks, streamed and cached a chunk at a time; a
// [Source] is a row-wise stage that lists its rows itself. A [WholeTable] stage
// sees all of its inputs at once; where its work falls into parts, an edit that
// touches only the last of them leaves the others in the cache.
package pipeline
