// Package torchfile reads and writes the tensors of files as torch.save makes them: .pth, .pt, and .bin of Hugging
// Face. It reads both the zip archives written since PyTorch 1.6 and the stream of pickles before, and writes the former.
//
// # Terms
//
//   - A pickle is a program that builds Python values on a stack. It may ask for any function to be
//     called; here nothing is ever called. The few that tensors and dicts are made with are known by
//     name, and what they would make is made here; any other is an error that names it.
//   - A global is a name of something in a Python module.
//   - A storage is a row of numbers that tensors look into: each from an offset on, at strides.
//     Several tensors may share one.
//   - A state dict holds a module's tensors by name. A checkpoint is a dict that holds a state dict
//     and other things.
//
// The formats are those of torch/serialization.py and CPython's pickletools.
package torchfile
