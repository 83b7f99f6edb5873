// Package fetch downloads one large file over HTTP so that it arrives whole or not at all: it goes on
// where an earlier try stopped, tries again when a server stumbles or goes quiet, and holds what came
// against what was expected.
//
// # Terms
//
//   - A part is the file while it is not whole. It survives the process; beside it rests its
//     validator, the server's mark (a strong ETag, RFC 9110, 8.8.3) of the content it is a part of.
//     With the mark the server is asked for the rest of that same content (Range and If-Range); a
//     server that has another by now sends all of it, and the part starts over.
//   - A try is one request with its redirects. It ends when the content has ended, when the server
//     refuses, or when no byte has come for a while.
//   - The hub is huggingface.co or a mirror of it (HF_ENDPOINT). It is the only one that sees its
//     token (HF_TOKEN), and it tells the SHA-256 of its large files before they are sent.
package fetch
