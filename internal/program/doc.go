// Package program runs programs of a user's that take tables and give tables, in any language, over standard input and
// output. docs/exec.md describes the protocol for those who write such programs. The words:
//
//   - A command is what is run: arguments, folder, environment, and how long it may stay silent.
//   - A process is a command at work. It answers one question after the other, and ends when its input ends.
//   - A question is a table, as one complete Arrow IPC stream: schema, record batches, end of stream. The answer is one, too.
//     Streams follow one another without anything between them, so that any Arrow library reads and writes them as they are.
//   - A failure is what a process did in place of answering, with the last lines of its standard error.
//
// A process never outlives the one that started it: it ends with its input, is killed with its whole process group if it does
// not, and, on Linux, is killed by the system if tlpipe itself is killed.
package program
