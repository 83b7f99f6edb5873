// Package explain shows which parts of a picture a model's answer rests on.
//
// The words:
//
//   - A heat map has a number from 0 to 1 for each place of a picture: how much the place
//     speaks for one output of the model, 1 for the most.
//   - Grad-CAM (Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via
//     Gradient-based Localization", ICCV 2017, arXiv:1610.02391) weighs each channel of the
//     last feature map by the mean gradient of the output, before the softmax or sigmoid, to it,
//     adds the channels up and leaves out what is below zero. Where the map is
//     averaged and a single linear layer follows, it is the class activation mapping of
//     Zhou et al. ("Learning Deep Features for Discriminative Localization", CVPR 2016,
//     arXiv:1512.04150), up to a factor.
//   - Occlusion (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks",
//     ECCV 2014, arXiv:1311.2901) covers a square of the picture with the mean colour, and notes
//     by how much the probability falls. It needs no gradients, but a run of the model for each square.
//
// The layers between the last feature map and the output are few and follow one another: they are computed here, in float64,
// and so are their gradients. Networks that are not so, such as transformers, are explained by occlusion.
//
// Heat maps show what the answer rests on, not whether it is right, and they are coarse: a place of the
// map sees much of the picture.
package explain
