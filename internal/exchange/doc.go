// Package exchange writes models as files of other programs, and checks what it wrote.
//
// # Terms
//
//   - A [Format] is a sort of file; a [Precision] is what its weights rest as.
//   - A check reads the file back, computes it by the definitions of the format's operators, and holds what comes out against
//     what tlpipe computes, on pictures that are part of this program, or on texts or vectors that are drawn. A file that does not agree, or that is larger than its
//     precision allows, is an error, and does not replace what was there.
package exchange
