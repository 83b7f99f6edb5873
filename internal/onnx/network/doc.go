// Package network makes networks of this program (package nn) of ONNX files: convolutional ones, as torchvision, timm and Keras
// export them. An operator that there is no layer for is an error that names its node.
//
// # Terms
//
//   - A value of the file is a constant, or what a layer puts out. Layers hold maps with channels last; where the axes of the
//     file's value lie among those is the value's order, so that a transposition costs nothing.
//   - Constants are computed while the network is made, for a batch of one picture: with them the shapes that files compute in
//     nodes (Shape, Gather, Concat) become numbers.
//   - The features are what the last dense layer takes, or what the file puts out if it ends without one; the layer that makes them is called
//     "features". The last map is what is pooled to them; it is called "map" where there is one. What the file puts out is called "output".
package network
