// Package registry keeps versions of trained models in a folder, with what is known of each.
//
// # Terms
//
//   - A name stands for a model that is trained again and again, such as "flowers". Its folder has its versions.
//   - A version is one trained model: a number that counts from 1 and is never used again, a file of weights, and its
//     [Facts], written once. Files of versions never change, so that the folder can be synchronised or committed as it is.
//   - A tag, such as "production", points to a version of a name. Where it pointed before is remembered, so that it can be
//     rolled back.
//   - A reference is NAME (the latest version), NAME@3 or NAME@TAG.
//
// The folder is plain: NAME/1.safetensors, NAME/1.json, NAME/tags.json. Every file is there whole or not at all, and writers of
// one name wait for each other.
package registry
