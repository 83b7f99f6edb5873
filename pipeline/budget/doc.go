// Package budget grants threads and memory to pieces of work, so that all together take no more than there
// is.
//
//   - A [Need] is what a piece of work takes: between so many and so many threads, and about so much memory.
//   - A [Grant] is what it was given, until it gives it back.
//   - A [Keep] is memory that outlasts the pieces of work that use it, such as the weights of a stage whose
//     chunks come one after the other. While no work uses it, it is dropped if its memory is needed.
//
// Work is served in the order in which it asks. What has to wait for memory may be passed by other work, but
// only so often: large work is not kept waiting for ever. Work that needs more than the whole budget runs
// while nothing else does. Work that waits for something else that may itself wait for a grant, such as a
// lock, pauses its grant meanwhile; with that, there is always some work that can go on.
package budget
