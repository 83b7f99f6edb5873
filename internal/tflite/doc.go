// Package tflite reads and writes files of TensorFlow Lite (LiteRT): what stands in them, not what it computes.
//
// # Terms
//
//   - A [Model] is a file of one graph: tensors, and operators in the order in which they run.
//   - A [Tensor] is known by its number. A constant has data; a quantised one has sizes of steps and zeros, one for all or one
//     for each part along an axis.
//   - An [Operator] has a [Code] and [Options], whole numbers by [Field].
//
// The tables and the numbers of their fields are those of schema.fbs, version 3 of the format
// (https://github.com/google-ai-edge/LiteRT, tflite/converter/schema/schema.fbs, Apache-2.0); codes.go lists what of it is
// known here. Other operators are read without their options.
package tflite
