// Package record defines the tables that stages exchange: the Arrow schemas of
// each port kind, what their metadata says, and how they are read and written.
//
// The words:
//
//   - A tensor column holds one tensor of a fixed shape a row. It is Arrow's
//     canonical extension arrow.fixed_shape_tensor: a fixed-size list with the
//     extension's name and shape in the field's metadata, row-major.
//   - An images table has columns id, image (a tensor column [height, width, 3],
//     uint8 with the normalisation still to be applied, or float32/float16
//     with it applied), label, split, domain, and any further columns of its source.
//   - Both may have a column target, where it is not the label that is learned: a list of the classes that
//     apply, or a fixed-size list of float64, whose field's metadata names the numbers. See [TargetColumn].
//   - A features table has the columns of the images it came from, with a
//     tensor column feature in the place of image.
//   - A predictions table has the columns of its data with predicted (a class)
//     and probabilities (a fixed-size list, one float32 a class); of models of several classes a row, predicted
//     is the list of those that apply, of models of numbers the numbers, without probabilities.
//   - A model table has one row a tensor, and in its schema's metadata the
//     architecture.
//   - [Preprocessing] tells how pixels were prepared; it is the metadata of
//     images and the trait by which stages check that pixels fit a backbone.
package record
