// Package budget bounds what reading one input may cost, so that a few bytes which stand for very many take neither the
// machine's memory nor its disk nor the night.
//
// # Terms
//
//   - A resource is what reading uses up: memory that is held, bytes that come out of unpacking, items that are made,
//     steps of work.
//   - A limit is how much of a resource may be used, and how people raise it. It follows from the size of the input, or
//     is a number that stands in the pipeline.
//   - A budget is the limits for one input, and what was used so far. The caller of a reader makes it; the reader takes
//     from it before it allocates, and ends with an [ExceededError], which names the limit.
//   - A pace is the least progress that something from outside must make.
package budget
