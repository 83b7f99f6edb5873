// Package deploy makes of a stored model, or of a backbone of the zoo, what other programs run: one network from the
// pixels of a picture to what the model tells.
//
// # Terms
//
//   - A [Model] is that network, folded (package nn/fold), with adapters of low rank merged and, where the model was trained
//     on the features of a frozen backbone, that backbone below it.
//   - Its [Pixels] tell how the network's input is made of a picture's: 8 bits a channel, RGB, of the network's size. What
//     comes before, decoding and resizing, is left to whoever uses the file; the model's transforms tell what training did.
//   - Its [Tokens] tell how the input is made of a text: of which tokens the ids are. An encoder on whose vectors the model was
//     trained is below it, too.
//
// The formats are packages of their own: onnx/emit, tflite/emit, and others.
package deploy
