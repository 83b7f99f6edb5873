// Package kerasfile reads the tensors of files that Keras wrote: .h5 of a whole model or of weights
// alone, .weights.h5 of Keras 3, and .keras, an archive with such a file in it. All but the last are
// HDF5 files. It writes .keras archives of functional models, and reads those back.
//
// # Names
//
// A tensor is called layer/variable, as in model.get_layer(layer): conv1_conv/kernel, bn/moving_mean.
// How files say that differs:
//
//   - .h5 files list layers, and the names of each layer's weights, in attributes: conv1_conv,
//     conv1_conv/kernel:0. A weight of a model inside another has the name that it has in that model.
//   - .weights.h5 files have a group for each layer. It is called by the layer's class and number,
//     layers/conv2d_3, and its variables by their numbers, vars/0. The layer's name is an attribute since
//     Keras 3.10; before, the configuration in a .keras archive tells it. Where nothing does, the layer is
//     called by its group, layers.conv2d_3. The class tells what the variables are called.
//
// Tensors come in the order of the model's layers, in .weights.h5 files class by class.
//
// Layers that got no name are numbered by Keras as they are made: conv2d, conv2d_1, …; another model
// made before has taken the first numbers. Here the numbers of each such name begin at 0.
//
// Names of before Keras 3 are brought to those of today: depthwise_kernel of a layer that has no
// pointwise_kernel is its kernel, and layer_W_1 of Keras 1 is layer/kernel.
package kerasfile
