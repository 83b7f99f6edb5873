// Package extract is the stage that turns pictures into features: what a pre-trained backbone makes
// of them at one of its layers. The features of a picture do not depend on the others, on how rows
// fall into chunks, nor on the number of threads.
package extract
