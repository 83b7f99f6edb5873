// Package emit writes networks as ONNX files.
//
// A file takes the pixels of pictures, uint8 [n, height, width, 3] in RGB, normalises them, and gives probabilities or
// numbers, float32 [n, classes]. Inside, maps lie as ONNX has them, [n, channels, height, width]; values are turned where an
// operator needs its channels last. Operators are those of version 17 of the standard set, files of IR version 8. The
// metadata has the names of the classes as JSON, and what else the model tells of itself.
//
// In int8, each value that rests as bytes goes through a QuantizeLinear and a DequantizeLinear, and each weight comes from
// int8 through a DequantizeLinear with a scale for each output channel: the form QDQ, of which runtimes make arithmetic on
// bytes. In float16, weights are stored so and widened by a Cast.
package emit
