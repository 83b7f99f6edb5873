// Package augment is the stage that varies training pictures: it keeps each row
// and adds copies of it that were turned, moved, cropped and coloured at random.
//
// The words:
//
//   - Copy 0 of a row is the picture as it came; copies 1 … K are varied. The
//     column `copy` tells which is which.
//   - A draw is what chance chose for one copy. It depends on the seed, the
//     row's id and the number of the copy alone, so that neither chunks nor
//     workers nor other rows change it.
//   - The fill is what stands where a picture was moved away from.
//
// Factors have the meaning of Keras' preprocessing layers (RandomRotation,
// RandomZoom, RandomTranslation), colours and crops that of torchvision's
// transforms (ColorJitter, RandomResizedCrop, RandomErasing, RandAugment).
package augment
