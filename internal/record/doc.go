// Package record defines the tables that stages exchange: the Arrow schemas of
// each port kind, their metadata, and how they are read and written.
//
// Terms:
//
//   - A tensor column holds one tensor of a fixed shape per row. It is Arrow's
//     canonical extension arrow.fixed_shape_tensor: a fixed-size list with the
//     extension's name and shape in the field's metadata, row-major.
//   - An images table has columns id, image (a tensor column [height, width, 3],
//     uint8 before normalisation, or float32/float16 after it), label, split,
//     domain, and any other columns of its source.
//   - Both may have a column target, if the label is not what is predicted: a list of the classes that
//     apply, or a fixed-size list of float64, whose field's metadata names the numbers. See [TargetColumn].
//   - A features table has the columns of the images it was computed from, with a
//     tensor column feature in place of image.
//   - A predictions table has the columns of its data with predicted (a class)
//     and probabilities (a fixed-size list, one float32 per class); for multi-label models, predicted
//     is the list of classes that apply, for regression models the numbers, without probabilities.
//   - A model table has one row per tensor, and the architecture in its schema's
//     metadata.
//   - [Preprocessing] describes how pixels were prepared; it is the metadata of
//     images and the trait by which stages check that pixels suit a backbone.
package record
