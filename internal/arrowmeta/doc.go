// Package arrowmeta reads the metadata of Arrow IPC files and streams before the Arrow library does. The library makes room
// for as many fields, and as many bytes, as a length in the metadata says, and so takes gigabytes for a damaged file of 3 kB.
// The words are those of Arrow's Schema.fbs, Message.fbs and File.fbs:
//
//   - A footer ends a file. It holds the schema, and where the record batches lie.
//   - A message is a part of a stream: metadata, a flatbuffers table, and a body of raw bytes.
package arrowmeta
