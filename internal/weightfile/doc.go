// Package weightfile opens files of weights as the frameworks write them: safetensors, PyTorch's and
// Keras'. What a file is, its content says; its name does not matter.
package weightfile
