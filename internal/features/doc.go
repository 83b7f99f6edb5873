// Package features makes features of prepared pictures with a frozen backbone, as a [record.Extraction] tells. It is the
// one place that does: the stage extract and whatever runs a model of features share it, so that a picture has the same
// features in both, to the bit.
package features
