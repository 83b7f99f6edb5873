// Package safetensors reads and writes files of named tensors in the safetensors format
// (https://huggingface.co/docs/safetensors): the length of a header in eight bytes, the header in
// JSON, which tells each tensor's type, shape and place, and the tensors' bytes.
//
// Nothing in a file is trusted: lengths, offsets and shapes are checked against the file's size
// before memory is taken.
package safetensors
