// Package document makes plain text of files: text in any encoding, mails and web pages.
//
// # Terms
//
//   - A [Format] says what a file is: [Plain] text, a [Mail] (RFC 5322 with MIME) or a web page ([HTML]).
//   - The encoding of plain text is told by its byte order mark, or is UTF-8 if all of it is valid, or else Windows-1252,
//     which has the printable characters of Latin-1. Bytes that are text in none of them are refused.
//   - Where a name does not tell, the first bytes of a file may: [Recognise].
//   - The text of a mail is its subject, an empty line, and its parts that are text and no attachment; of alternatives
//     the plain one. Web pages are stripped of markup, scripts and styles.
//
// Files are not trusted: what is read of them, and how deep their parts may lie, is bounded.
package document
