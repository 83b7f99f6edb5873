// Package inference runs stored models, by what their description alone tells.
//
// A [Model] is a stored model that was compiled. A [Session] of it takes what the network takes, several
// examples at once: features, or normalised pixels, such as the tables of a pipeline hold ready made;
// [Model.Takes] tells whether a table does. [Pictures] take the bytes of picture files, or pixels, and carry
// out the transforms of the model's input first, the features of a frozen backbone among them: what a
// picture becomes is the same to the bit as in training. [Texts] do so with texts.
package inference
