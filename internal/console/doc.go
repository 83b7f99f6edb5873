// Package console prints for people: a run as it goes, tables, and numbers
// with their units.
//
// A [Progress] shows a run: live bars where there is a terminal, a line for
// each stage that ends elsewhere. Everything is plain text; nothing is said by
// colour.
package console
