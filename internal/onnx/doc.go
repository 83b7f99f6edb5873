// Package onnx reads and writes files in the ONNX format: what stands in them, not what it computes.
//
// # Terms
//
//   - A [Model] is a file: the versions of the operator sets that it uses, metadata, and a [Graph].
//   - A [Graph] is a list of [Node] in an order in which each comes after those that make its inputs. Values
//     are known by name; each is made once.
//   - A [Node] applies an operator to values. Its [Attribute] are constants.
//   - A [Tensor] is an array of numbers. An initializer is a tensor that is the value of its name.
//   - A [ValueInfo] tells the type and shape of a value; inputs and outputs of the graph have one.
//
// The messages and their field numbers are those of onnx.proto, IR version 10
// (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, Apache-2.0). Fields that are neither read nor written here
// are skipped; what changes the meaning of a file, such as numbers that lie in another one or a node with a graph of its
// own, is kept so that whoever reads the file can refuse it.
package onnx
