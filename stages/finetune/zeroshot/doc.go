// Package zeroshot is the stage that makes a classifier of the texts that name its classes, without training: the class whose texts are
// most like a row in a space that both share.
package zeroshot
