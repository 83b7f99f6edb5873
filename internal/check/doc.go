// Package check holds a backbone against numbers of the framework that its weights come from: the same
// weights and the same batch of pictures must give the same features.
//
// A batch is what the framework's network was given: float32, prepared as the weights want it,
// [pictures, 3, height, width] (the layout nchw, PyTorch's) or [pictures, height, width, 3] (nhwc,
// TensorFlow's). What is expected is the framework's output at one layer, vectors [pictures, channels]
// or maps in either layout.
//
// Two outputs agree if the largest difference of their numbers is at most a tolerance times the
// largest absolute value that is expected.
package check
