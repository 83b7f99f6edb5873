// Package predict goes from the bytes of a picture file to the classes of a
// trained model, by what the model says of itself.
//
// A model made by tlpipe carries in its metadata how its pictures were prepared
// ([record.PreprocessingKey]) and how features were made of them
// ([record.ExtractionKey]). A [Predictor] does both again and then runs the
// model's own network, so that a model alone is enough: as an artifact, or as
// a safetensors file that [ReadFile] reads. A model without an extraction takes
// the pixels themselves.
package predict
