// Package shift measures how far two domains lie apart, in features and in how pictures look, and how the frequencies of classes
// differ.
//
// The terms:
//
//   - The proxy A-distance is 2·(1 − 2ε), of the error ε of a classifier that tells the domains apart on rows that it was not fitted
//     to: 0 if it cannot, 2 if it always can.
//   - MMD² is the squared maximum mean discrepancy: the distance of the domains' means in the space of a kernel. Its p-value is the share of
//     random divisions of all rows that lie as far apart.
//   - Prior shift is a change of the classes' frequencies alone. A model's answers on the target tell of it.
//   - The importance of a row is the ratio of the target's density to the source's.
//   - A cause is a simple property of pictures that differs: brightness, contrast, sharpness, saturation, warmth.
//
// What is drawn at random is drawn by a seed; results do not depend on the number of threads.
package shift
