// Package weightfile opens files of weights as the frameworks write them: safetensors, PyTorch's and
// Keras'. What a file is, its content says; its name does not matter. Weights in several files (shards)
// are opened by their index.
package weightfile
