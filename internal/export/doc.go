// Package export writes artifacts as files that other programs read.
//
// The words:
//
//   - A [Format] is a sort of file, known by the ending of its name.
//   - The tensor of an artifact is the column that holds numbers by the
//     thousand: its features, its pictures or its probabilities. Formats that
//     hold one array (npy, safetensors) hold that column, rows first.
//   - A note says what a file leaves out, in one line for people.
//
// Everything is written chunk by chunk: memory does not grow with the
// artifact. A file is there whole or not at all.
package export
