package document

import (
	"bytes"
	"slices"
	"strings"
)

// Recognise tells the format of a file that its name does not tell, or that is named as plain text: that of the formats in known which its
// first bytes show, or plain text.
func Recognise(data []byte, known []Format) Format {
	data = bytes.TrimPrefix(data, []byte{0xEF, 0xBB, 0xBF})
	switch {
	case slices.Contains(known, Mail) && BeginsAsMail(data):
		return Mail
	case slices.Contains(known, HTML) && beginsAsHTML(data):
		return HTML
	}
	return Plain
}

// mostHeader bounds the bytes in which the end of a header is looked for.
const mostHeader = 64 << 10

// BeginsAsMail tells whether a file begins with the header of a mail: fields to the first empty line, at least two of them usual ones, and
// of these one that says where it comes from. A text that merely has a subject above it is no mail.
func BeginsAsMail(data []byte) bool {
	header := string(data[:min(len(data), mostHeader)])
	seen, from := map[string]bool{}, false
	first, others := true, 0
	for line := range strings.Lines(header) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			break
		}
		name, _, found := strings.Cut(line, ":")
		switch {
		case first && strings.HasPrefix(line, "From "): // an mbox has this line above each mail
		case line[0] == ' ' || line[0] == '\t': // goes on with the field above
			if first {
				return false
			}
		case !found || !isFieldName([]byte(name)):
			if others++; others > 1 { // old programs wrote a line that is no field
				return false
			}
		default:
			switch name = strings.ToLower(name); name {
			case "from", "received", "return-path", "message-id":
				seen[name], from = true, true
			case "to", "subject", "date", "delivered-to", "reply-to", "mime-version", "content-type", "cc", "sender":
				seen[name] = true
			}
		}
		first = false
	}
	return from && len(seen) >= 2
}

// beginsAsHTML tells whether a file begins with the declaration or the root of a web page.
func beginsAsHTML(data []byte) bool {
	start := strings.ToLower(string(bytes.TrimSpace(data[:min(len(data), 512)])))
	return strings.HasPrefix(start, "<!doctype html") || strings.HasPrefix(start, "<html")
}
