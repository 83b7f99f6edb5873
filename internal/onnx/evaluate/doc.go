// Package evaluate computes ONNX files by the definitions of their operators (https://onnx.ai/onnx/operators, version 17), to
// hold a file that was written against the model that it is of. It knows the operators that package emit writes, and no
// more. Convolutions and matrix products are those of package kernel; everything else is plain.
package evaluate
