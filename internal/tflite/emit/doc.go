// Package emit writes networks as TensorFlow Lite files.
//
// A file takes the pixels of one picture, uint8 [1, height, width, 3] in RGB, normalises them by a convolution of one pixel,
// and gives probabilities or numbers, float32 [1, classes]. The metadata has the names of the classes.
//
// In int8, weights of convolutions and dense layers are quantised for each output channel, −127 … 127, values −128 … 127, and
// biases are int32 in steps of the input's size times the weight's
// (https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec). Layers that a scheme leaves in
// float32 stand between a DEQUANTIZE and a QUANTIZE, and so does the softmax at the end, of which 8 bits would leave 256
// probabilities. In float16, weights rest so and go through a DEQUANTIZE.
package emit
