// Package teacher is what a student learns of trained networks.
//
//   - [Losses] say what of the teachers a student's outputs and layers are compared with.
//   - A [Teacher] is a stored classifier of pictures. Its view is how it sees the rows of a training, whose pictures may have been
//     prepared for another network: the pixels of that very picture or copy, resampled to the teacher's size and normalised as the
//     teacher wants them.
//   - The lesson of a teacher is what one of its layers gives for the rows of a training. Lessons are cached parts of each chunk of the
//     pictures, keyed by the pixels and by the layers below: another student, temperature or weight asks the teacher nothing.
package teacher
