// Package emoji holds the data set built into tlpipe: pictures of the same things in three drawing
// styles, small enough to embed and real enough to learn from.
//
// There are eight classes (mammal, bird, fruit or vegetable, clothing, vehicle, building, face,
// clock) of 21 objects. An object is what is drawn, named by its Unicode code points; a domain is a
// style: noto (flat, shaded), twemoji (flat) and fluent (rendered in three dimensions). Every object
// is there in every domain, so a fair split is one by object: the same object in another style
// leaks what is to be learnt.
//
// emoji.zip is made by make/make.py from published packages; NOTICE at the root of the repository
// names the artists and their licences.
package emoji
