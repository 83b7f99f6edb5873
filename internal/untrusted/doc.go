// Package untrusted shows text that others wrote: names of files, columns and tensors, labels, keys of YAML, what a server
// says. In a terminal or a page it must say what it says and do nothing else.
//
// # Terms
//
//   - A mark is a character that does something instead of being seen: control characters, with which escape sequences
//     begin, and the marks that turn the direction of the text around them, so that it reads as another text.
//   - Safe text has no marks: each is shown as U+FFFD, the replacement character. Line breaks and tabs stay, except in a
//     line. Letters of scripts that are written from right to left are no marks.
//   - In JSON marks are written as \uXXXX, so that nothing is lost to programs that read it.
package untrusted
